"""The pages of docs made from results: which benchmarks stand on which page, and what is said about each."""

from collections.abc import Callable
from dataclasses import dataclass

from bench import charts, findings
from bench.capacity import capacity
from bench.model import pictures as model
from bench.peers import chart as peers
from bench.results import Result
from bench.table import Table


@dataclass(frozen=True)
class Section:
    """One benchmark's part of a page."""

    benchmark: str
    title: str
    text: str
    picture: str = ""
    """File name of a chart beside the page, made of the first result; see `PICTURES`."""
    gallery: tuple[str, ...] = ()
    """More charts of the first result, after its tables."""
    findings: Callable[[Result], str] | None = None
    """What follows from the first result, in words."""
    computed: Callable[[dict[str, Result]], list[Table]] | None = None
    """Instead of a benchmark's own tables: what follows from results, given by their benchmarks' names."""


PAGES: dict[str, tuple[str, str, tuple[Section, ...]]] = {
    "performance.md": (
        "Performance",
        "What the whole job costs and how long an alert takes. What “the whole job” is stands in "
        "[bench/JOB.md](../bench/JOB.md) and does not change.",
        (
            Section(
                "throughput",
                "The whole job",
                "A backlog stands on the topic and a worker with empty state judges it; the rate is payments divided "
                "by the time from the first step's begin to the last step's commit, by the broker's committed offsets. "
                "Then an open-loop generator sends at evenly spaced scheduled times, whatever the system does; an "
                "alert's latency counts from the scheduled send time of its payment (rounded down to a millisecond) "
                "to the moment a read_committed consumer has it, the first 10 s left out. Both guarantees take turns. "
                "Generator, broker, worker and consumer share the machine. Stages overlap: a step is published while "
                "the next one is computed, and the entities agent has threads of its own.\n\n"
                "What limits the rate is the scoring agent's computing, one thread: it computes for all but the time "
                "of the row “not computing”, in which it waits for the next batch or for the step before. Publishing, "
                "committing and persisting take less and hide behind it. The entities agent and the broker share the "
                "two cores with it and take a part of each; beyond one thread there is the second worker of "
                "[More payers, partitions, workers](#more-payers-partitions-workers).",
                "throughput.svg",
            ),
            Section(
                "capacity",
                "How many machines",
                "Computed from the processor time above, exactly once: a worker's at a steady rate, where steps are"
                " small and each costs a transaction, and half of each machine left free, so that the others can "
                "take the share of one that dies, and alerts stay quick. The cluster: as many workers as the table "
                "says and one more, each in a slot of its own with `--standby 1`, over a source of four partitions "
                "a worker, so that a lost worker's partitions spread over the rest; topics of entities of one "
                "partition a worker (`topics create --entity-partitions`); three brokers or more with replication "
                "3, that share the cores of the last row. Brokers on machines of their own take nothing from the "
                "workers; here they shared two cores. What a replica costs was not measured: it counts as much as "
                "the leader. UPI's mean is that of January 2026, 21.7 billion payments.",
                computed=capacity,
            ),
            Section(
                "peers",
                "Beside others",
                "The same reduced job, [bench/peers/REDUCED.md](../bench/peers/REDUCED.md), in plain Faust, Quix "
                "Streams and Kafka Streams, each written as its users write it, and on our own machinery; then our "
                "whole job, timed as above. One broker, one topic, the same payments, taking turns, one process each; "
                "broker and participant share the machine. Each starts with nothing; its rate counts from the first "
                "of its commits that the broker shows to the last one, within the seconds given to each, so that slow "
                "ones do a prefix of the payments. Its alerts are those of a plain Python program over the same "
                "payments, or it has no rate. `make peers` installs what it compares with; Kafka Streams needs a JDK "
                "17 and Maven too.",
                picture="peers.svg",
            ),
            Section(
                "latency",
                "How long an alert takes",
                "The whole job at steady rates, evenly spaced by an open-loop generator that does not slow down with "
                "the system. Latency counts from the scheduled time of a payment, so what the generator sent late "
                "counts as late; the first 30 s are left out, and a first run that warms the broker up. The generator "
                "has priority where that is allowed. From 5,000/s on, the share of flagged payments is raised, so that "
                "enough alerts are measured. What limits it, and what was tried, is in "
                "[decision 12](decisions/0012-latency.md).",
                "latency.svg",
            ),
            Section(
                "scale",
                "More payers, partitions, workers",
                "A small world cloned: each payer stands for many, with the same history under names of their own. "
                "Their records are restored from the changelog; once the database has come to rest, the worker is "
                "started again and judges a backlog whose payers are chosen at random from all. Two workers "
                "share the machine's cores with the broker.",
            ),
            Section(
                "regress",
                "The parts of the hot path",
                "The agents' pure parts in one process, without a broker: processor time, and that in units of a "
                "reference loop which is measured in turn with them, so that figures of different machines and hours "
                "compare. Run it again to see the ratio to the figures of this table.",
            ),
        ),
    ),
    "reliability.md": (
        "Reliability",
        "What holds when processes, brokers, disks and networks fail, and how it is known.\n\n"
        "In `exactly_once`, the default, every payment changes its payer's state once, is decided once and, if "
        "flagged, alerted once, in the order of its partition, for whoever reads committed records; what cannot be "
        "read is set aside once, with its bytes. Results, state and offsets are one Kafka transaction; the local "
        "database follows it and can be lost. In `at_least_once` decisions and alerts may come again, under the same "
        "ids; state counts a payment once all the same. Where that cannot be kept, the worker stops and says what to "
        "do. [Architecture](architecture.md#guarantees) says how, "
        "[Operations](operations.md#when-state-and-offsets-disagree) what an operator does.",
        (
            Section(
                "faults",
                "The fault matrix",
                "Each row does one fault to real `fraudstream worker` processes on real brokers, again and again where "
                "a number of runs or kills stands, and then asks an oracle. Repeat it with `make faults`, or one row "
                "with `make faults ARGS='--rows 9'`; `ARGS=--quick` is the form that `make test` runs. A test that "
                "fails shows its seed.\n\n"
                "The oracle uses none of the stream's own bookkeeping. It reads the source topic from its start and "
                "passes every record through the same pure engine, in memory, in offset order, in batches of a size "
                "that no worker uses; only the entity risk that each decision recorded, and the model it named, are "
                "taken from the run. Then it compares: decisions (one for each payment, in order, with the features' "
                "fingerprint, score and everything decided), alerts (one for each flagged payment, a payer's in "
                "order), dead letters (the records that cannot be read, byte for byte), the payers' and entities' "
                "records folded from the changelogs and those in RocksDB (byte for byte), the entity activity and the "
                "published entity risk, and that committed offsets, the changelogs' positions and the databases' "
                "checkpoints all stand at the end. Lost: a payment without decision or due alert, or a record without "
                "dead letter. Doubled: more than one of them. Disordered: decisions of a partition or alerts of a "
                "payer not in the order of the payments. Any other difference fails the row too. The oracle itself is "
                "checked with planted losses, repeats, swaps and changes, each of which it must see as what it is.",
            ),
            Section(
                "restore",
                "Restore and restart",
                "Records of real payers, as the engine makes them, lie on a changelog of four partitions. From an "
                "empty disk all of it is replayed into RocksDB, the broker on the same machine. Then a worker judges a "
                "backlog, is ended in its midst by SIGTERM or SIGKILL, and starts again on its disk: the time counts "
                "from the assignment of its partitions to the first decision after it that a read_committed consumer "
                "has.",
            ),
            Section(
                "failover",
                "Failover",
                "Two workers that know their payers share four partitions at a steady rate, and one is killed. Its "
                "partitions move when its session has timed out; what it had open is aborted when its transaction "
                "has, at the broker's next round. The gap is the longest time between two alerts of one partition.",
            ),
        ),
    ),
    "results.md": (
        "Results",
        "What came out when whole data sets went through the real commands, a real broker and the real worker.",
        (
            Section(
                "realdata",
                "Public data",
                "The Fraud Detection Handbook's simulated card payments "
                "([simulated-data-raw](https://github.com/Fraud-Detection-Handbook/simulated-data-raw)): customers as "
                "payers, terminals as payees, no device, location or behaviour. The model learned from July by the "
                "verdicts known on 8 August, each seven days after its payment. At once: all payments stand on the "
                "topic, no verdict is ever told. Day by day: each day's payments are judged, then the verdicts that "
                "became known are published, so that none comes before its time.",
            ),
            Section(
                "public_replay",
                "Public data, replayed",
                "The same payments through `fraudstream import`, `train` and `backtest`, each as a user runs it, with "
                "verdicts 7, 3 and 1 days after their payment. The model learns from April to June by the verdicts "
                "known on 1 July, and nothing later is read for it; the replay goes from 1 May to 14 August, with "
                "April as the payers' past. Figures are over all payments of a period, no card left out; recall is "
                "the highest at no more than 1.3 % false positives, by the thresholds of that period. May and June "
                "were trained on and say nothing about payments to come.\n\n"
                "Published are a plain XGBoost's figures of the same week, after three months of training, with a "
                "terminal's risk from verdicts as late. No figure of that week chose anything here. What nothing could "
                "catch are the first payments at a compromised terminal: until a verdict on it is known, they are like "
                "others there. So each day of label delay lowers what can be reached.",
                findings=findings.public_replay,
            ),
            Section(
                "public_replay_choice",
                "How its training was chosen",
                "Options of `fraudstream train`, each candidate on April and May by the verdicts known on 1 June, "
                "measured on all that follows until 7 August; the tested week is not read. Chosen is the highest "
                "average precision, mean of the three delays; of the two that share it, the one that keeps the "
                "default of monotone risk.",
            ),
            Section(
                "damaged",
                "Damaged records",
                "Every kind of damage in turn, at random places among good payments. Source topic, decisions and dead "
                "letters are read back and compared position by position. Lost: neither decided nor set aside. "
                "Repeated: more than once. Misplaced: a good payment set aside, or a damaged record decided. Changed: "
                "decided under another id, or other bytes in the dead letter.",
            ),
            Section(
                "determinism",
                "The same input twice",
                "The same payments through two workers with fresh state, cut into batches of different sizes. "
                "Features that follow from payment and payer must be the same bit for bit. Entity risk reaches a "
                "worker when it does, so scores are compared given the same risk: each run's payments are judged again "
                "with the risk that the other run had recorded.",
            ),
            Section(
                "backtest",
                "Backtests",
                "The payments of the whole job ([bench/JOB.md](../bench/JOB.md)), from a topic of four partitions and "
                "as Parquet, judged by a champion and two candidates, their features kept. The rate is payments "
                "divided by the time from the first look at the source to the last line of the scores; the broker runs "
                "beside it. How it is done stands in [Backtests](backtest.md).",
            ),
            Section(
                "verified",
                "Live, then replayed",
                "A worker judged payments while they were published, was killed again and again, and another went on; "
                "verdicts were told on the way. Then the topic was judged again, given the entity risk that each "
                "decision recorded. The hashes cover features hash, status, scores and decision of every payment.",
            ),
            Section(
                "training",
                "Ways of training",
                "Simulated worlds of different seeds, each split by time with verdicts as they became known; every way "
                "of training on the same world and measured on the same test window, by all verdicts. Little data: the "
                "last 30 % of the payments before the cutoff, half to fit on and half to validate on. What follows "
                "stands in [decision 14](decisions/0014-training.md), how to train in [Training](training.md).",
            ),
            Section(
                "large",
                "More payments than memory",
                "Simulated, turned into features and trained on by way of the disk, each stage in a process of its "
                "own. Peak memory is the most that the process ever held (VmHWM).",
            ),
        ),
    ),
    "model.md": (
        "The model",
        "How well the model tells fraud from honest payments, beside others on the same payments. How it is measured "
        "stands in [bench/MODEL.md](../bench/MODEL.md), which was frozen before any model was tuned.",
        (
            Section(
                "model",
                "Beside others",
                "Simulated UPI payments ([simulator.md](simulator.md)), 0.3 % of them fraud, a world of its own for "
                "each seed. All models get the same 85 features, learn from the first three quarters by the verdicts "
                "known then, and are judged on the last quarter by the truth.\n\n"
                "How to read it. A goal counts as reached when the mean over the seeds reaches it; where the interval "
                "reaches beyond the goal, another five seeds might not. Two models whose intervals overlap are not "
                "told apart by this table. All are calibrated on validation; FraudStream's calibration also counts the "
                "verdicts that are still due, the others' does not, which is most of what separates them in slope and "
                "skill. The paper's figures are of its own data, which is not public: that the "
                "same rules reach no more here than its “before” says that these payments are no easier than its own "
                "by that yardstick, and no more. Frauds that nobody ever notices are honest in training and fraud in "
                "the test, so every model says somewhat too little on average (“frauds expected / seen” below 1); "
                "slope and skill include that. Precision depends on how rare fraud is: at one in 10,000 most alerts "
                "are false at any of these rates, which is why the first columns of that table matter most.",
                "model-roc.svg",
                ("model-precision-recall.svg", "model-calibration.svg", "model-kinds.svg"),
            ),
            Section(
                "handbook_week",
                "Public data: the Handbook's protocol",
                "The Fraud Detection Handbook's simulated card payments "
                "([simulated-data-raw](https://github.com/Fraud-Detection-Handbook/simulated-data-raw)): seven days of "
                "training, seven of delay, seven of test, cards known to be compromised left out. State and entity "
                "risk are warmed by all earlier payments, verdicts reach entity risk seven days after their payment.",
            ),
            Section(
                "handbook",
                "How its settings were chosen",
                "Every candidate on the weekly windows whose test week ends before the tested windows' training "
                "begins. The tested week was run once, with the candidate chosen here.",
            ),
            Section(
                "entity_lag",
                "Live and replayed entity features",
                "What is known of payees, devices and SIMs reaches a worker over two topics, so a payment is judged "
                "with what has arrived by then. Training and replay compute the same with the same code, but there a "
                "payment sees what the chunks of payments before its own have led to, and verdicts take effect "
                "between chunks (`models.passage`). Here one simulated history is published at a rate to a real "
                "worker, every verdict when the payments have come to the moment at which it became known. The "
                "entity features that each decision was made with are compared with the offline ones of the same "
                "payments; both have a lag, and the table shows what is between them.\n\n"
                "The world's time passes much faster than the clock here: two months of a few customers go through "
                "in minutes, as the first row says. A lag of a tenth of a second live, or a chunk offline, then "
                "covers hours of a payee's life, offline as well as live. With a bank's number of payments both cover "
                "less of it; how much closer the two would then be was not measured.",
            ),
        ),
    ),
    "robustness.md": (
        "Robustness",
        "What a trained model still catches when attackers change what they control. How it is noticed that payments "
        "have changed stands in [Operations](operations.md#drift).",
        (
            Section(
                "robustness",
                "Attackers who adapt",
                "A model learns from 60 days of a simulated world in which about a third of the campaigns is adapted "
                "in each aspect ([simulator.md](simulator.md)), and its thresholds are chosen on the validation of "
                "that training. Then the same 20 days after are played with other attackers, the model and its "
                "thresholds as they were: a share of the campaigns, from none to all, is adapted in one aspect, the "
                "others staying as in training. Rhythm: bots type as people do. Location: the GPS is near the "
                "victim's home. Amount: within what the victim usually pays. Timing: payments are spread over days. "
                "All four: each by itself for this share. Silent: the fraudulent payments of this share of the victims "
                "come from an application that reports neither place nor rhythm nor device, which is more than an "
                "attacker can do where the victim pays with the own device. Customers and mules are the same in all "
                "versions of a world.\n\n"
                "Recall is the share of the fraudulent payments at or above the threshold, those never noticed "
                "included; ± is the reach of the 95 % interval over the worlds (Student's t). “Lost” compares none "
                "with all adapted world by world.",
                "robustness.svg",
                findings=findings.robustness,
            ),
        ),
    ),
    "unseen.md": (
        "The unknown",
        "What happens to attacks that nobody has described yet. Beside the model stands a second opinion, "
        "`models/second_opinion.py`: a second forest on the same 85 features with an alert budget and reasons of its "
        "own, learned not from whole attacks but from parts of known ones in otherwise honest payments, and from what "
        "is rare among these. [Decision 15](decisions/0015-second-opinion.md) has what else was tried.",
        (
            Section(
                "unseen",
                "Each kind of attack left out of training in turn",
                "A kind that is left out begins at the cutoff: its payments before it are taken out of the history "
                "before features are computed, so that neither they nor their verdicts exist for training, payers' "
                "records or entity risk. A model and a second opinion are trained on the rest; recall is that on the "
                "left-out kind among all payments after the cutoff, where exactly as many honest payments are flagged "
                "in all. The second opinion has a fixed share of them. “At its thresholds” is the recall at the two "
                "thresholds that validation set for the same rate before the kind began.",
                picture="unseen.svg",
            ),
        ),
    ),
}

PICTURES: dict[str, Callable[[Result], str]] = {
    **model.PICTURES,
    "throughput.svg": charts.stages,
    "peers.svg": peers.picture,
    "robustness.svg": charts.robustness,
    "latency.svg": charts.latencies,
    "unseen.svg": charts.unseen,
}
