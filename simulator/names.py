"""Words that identifiers are made of."""

FIRST_NAMES = (
    "aarav", "aditi", "ajay", "akash", "amit", "ananya", "anil", "anita", "arjun", "asha", "ashok", "bala",
    "deepa", "deepak", "divya", "farhan", "gauri", "geeta", "gopal", "harish", "imran", "isha", "jaya", "kabir",
    "karan", "kavita", "kiran", "lakshmi", "lata", "mahesh", "manish", "manoj", "maya", "meera", "mohan",
    "mukesh", "nandini", "naveen", "neha", "nikhil", "nisha", "pooja", "pradeep", "pramod", "prakash", "priya",
    "rahul", "raj", "rajesh", "rakesh", "ramesh", "rani", "ravi", "rekha", "ritu", "rohan", "rohit", "sachin",
    "salim", "sameer", "sandeep", "sanjay", "sarita", "seema", "shalini", "shankar", "shanti", "shilpa",
    "shreya", "sita", "sneha", "suman", "sunil", "sunita", "suresh", "swati", "tanvi", "tara", "uma", "usha",
    "varun", "vijay", "vikas", "vikram", "vinod", "yash", "zoya",
)  # fmt: skip
PROCESSORS = (
    "Snapdragon 8 Gen 2 SM8550-AB",
    "Snapdragon 7s Gen 2 SM7435-AB",
    "Snapdragon 695 5G SM6375",
    "Dimensity 7050 MT6877V",
    "Helio G99 MT6789V",
    "Helio G85 MT6769Z",
    "Exynos 1380 S5E8835",
    "Tensor G3 GS301",
    "Unisoc Tiger T612",
    "Dimensity 6100+ MT6835",
    "Apple A15 Bionic APL1W07",
    "Apple A16 Bionic APL1W10",
)
APPLE = 10
"""The first Apple processor's position; the ones before run Android."""
