package reduced;

/** What goes out. */
record Alert(String id, String payer, double score) {}
