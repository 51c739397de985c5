package reduced;

/** What is remembered of a payer; see bench/peers/REDUCED.md. */
final class Payer {
    static final int PAYEES = 8;

    long lastMs;
    int payments;
    double logMean;
    double logVariance;
    double highest;
    double hourCount;
    double hourRupees;
    double dayCount;
    double dayRupees;
    int device;
    long deviceSince;
    int sim;
    long fixMs;
    double fixLatitude;
    double fixLongitude;
    int payees;
    final int[] payee = new int[PAYEES];
    final int[] payeeCount = new int[PAYEES];
}
