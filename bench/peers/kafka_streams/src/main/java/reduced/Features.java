package reduced;

import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32;

/** The 20 features of bench/peers/REDUCED.md, in its order, and what the payer's record keeps. */
final class Features {
    static final int COUNT = 20;

    private static final double NAN = Double.NaN;
    private static final double HOUR_MS = 3_600_000;
    private static final double DAY_MS = 86_400_000;
    private static final long INDIA_OFFSET_MS = 19_800_000;
    private static final double EARTH_KM = 6371.0088;
    private static final int AMOUNT_MEMORY = 100;

    static void judge(Payment p, Payer s, float[] f) {
        long time = p.eventTime();
        double rupees = p.amount() / 100.0;
        double logRupees = Math.log(rupees);
        double passed = Math.max(0, time - s.lastMs);
        double hourLeft = Math.exp(-passed / HOUR_MS);
        double dayLeft = Math.exp(-passed / DAY_MS);
        double hourCount = s.hourCount * hourLeft;
        double hourRupees = s.hourRupees * hourLeft;
        double dayCount = s.dayCount * dayLeft;
        double dayRupees = s.dayRupees * dayLeft;
        int payee = crc(p.payee());
        int device = crc(p.deviceId());
        int sim = crc(p.simId());
        int at = find(s, payee);
        int payeeCount = at >= 0 ? s.payeeCount[at] : 0;
        boolean seen = s.payments > 0;
        double distance = NAN;
        double speed = NAN;
        if (s.fixMs > 0) {
            distance = kilometres(s.fixLatitude, s.fixLongitude, p.latitude(), p.longitude());
            speed = distance / Math.max(Math.abs(time - s.fixMs) / HOUR_MS, 1.0 / 60);
        }
        f[0] = (float) rupees;
        f[1] = (float) (s.payments >= 3 ? (logRupees - s.logMean) / Math.sqrt(s.logVariance + 0.0625) : NAN);
        f[2] = (float) (seen ? rupees / s.highest : NAN);
        f[3] = Math.floorDiv(time + INDIA_OFFSET_MS, 3_600_000L) % 24;
        f[4] = (float) (seen ? passed / 1000 : NAN);
        f[5] = s.payments;
        f[6] = (float) hourCount;
        f[7] = (float) hourRupees;
        f[8] = (float) dayCount;
        f[9] = (float) dayRupees;
        f[10] = payeeCount;
        f[11] = s.payees;
        f[12] = differs(device, s.device);
        f[13] = device == 0 ? Float.NaN
                : (float) (device == s.device ? Math.max(0, time - s.deviceSince) / HOUR_MS : 0);
        f[14] = differs(sim, s.sim);
        f[15] = (float) distance;
        f[16] = (float) speed;
        f[17] = (float) kilometres(p.latitude(), p.longitude(), p.ipLatitude(), p.ipLongitude());
        f[18] = "ENTITY".equals(p.payeeType()) ? 1 : "PERSON".equals(p.payeeType()) ? 0 : Float.NaN;
        f[19] = p.networkRiskScore() == null ? Float.NaN : p.networkRiskScore();

        double weight = 1.0 / Math.min(s.payments + 1, AMOUNT_MEMORY);
        double away = logRupees - s.logMean;
        s.logMean += weight * away;
        s.logVariance = (1 - weight) * (s.logVariance + weight * away * away);
        s.highest = Math.max(s.highest, rupees);
        s.hourCount = hourCount + 1;
        s.hourRupees = hourRupees + rupees;
        s.dayCount = dayCount + 1;
        s.dayRupees = dayRupees + rupees;
        if (device != 0 && device != s.device) {
            s.device = device;
            s.deviceSince = time;
        }
        if (sim != 0) {
            s.sim = sim;
        }
        if (p.latitude() != null && p.longitude() != null && time >= s.fixMs) {
            s.fixMs = time;
            s.fixLatitude = p.latitude();
            s.fixLongitude = p.longitude();
        }
        pay(s, payee, payeeCount, at);
        s.payments++;
        s.lastMs = Math.max(s.lastMs, time);
    }

    /** The payee leaves its place, or the first of a full list goes; it comes to the end. */
    private static void pay(Payer s, int payee, int count, int at) {
        int first = at >= 0 ? at : s.payees == Payer.PAYEES ? 0 : s.payees++;
        int last = s.payees - 1;
        System.arraycopy(s.payee, first + 1, s.payee, first, last - first);
        System.arraycopy(s.payeeCount, first + 1, s.payeeCount, first, last - first);
        s.payee[last] = payee;
        s.payeeCount[last] = count + 1;
    }

    private static int find(Payer s, int payee) {
        for (int k = 0; k < s.payees; k++) {
            if (s.payee[k] == payee) {
                return k;
            }
        }
        return -1;
    }

    private static float differs(int now, int before) {
        return now == 0 || before == 0 ? Float.NaN : now == before ? 0 : 1;
    }

    private static int crc(String text) {
        if (text == null) {
            return 0;
        }
        CRC32 crc = new CRC32();
        crc.update(text.getBytes(StandardCharsets.UTF_8));
        return (int) crc.getValue();
    }

    private static double kilometres(Double latitude, Double longitude, Double other, Double otherLongitude) {
        if (latitude == null || longitude == null || other == null || otherLongitude == null) {
            return NAN;
        }
        double phi = Math.toRadians(latitude);
        double otherPhi = Math.toRadians(other);
        double north = Math.sin((otherPhi - phi) / 2);
        double east = Math.sin(Math.toRadians(otherLongitude - longitude) / 2);
        double half = north * north + Math.cos(phi) * Math.cos(otherPhi) * east * east;
        return 2 * EARTH_KM * Math.asin(Math.sqrt(Math.min(1, half)));
    }

    private Features() {}
}
