package reduced;

import java.nio.ByteBuffer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** A payer's record as bytes: its numbers one after another, of the payees only those there are. */
final class PayerSerde {
    private static final int HEAD = 11 * 8 + 3 * 4 + 8 + 1;

    static Serde<Payer> create() {
        return Serdes.serdeFrom(
                (topic, payer) -> payer == null ? null : encode(payer),
                (topic, bytes) -> bytes == null ? null : decode(bytes));
    }

    private static byte[] encode(Payer p) {
        ByteBuffer out = ByteBuffer.allocate(HEAD + 8 * p.payees);
        out.putLong(p.lastMs).putInt(p.payments).putDouble(p.logMean).putDouble(p.logVariance).putDouble(p.highest);
        out.putDouble(p.hourCount).putDouble(p.hourRupees).putDouble(p.dayCount).putDouble(p.dayRupees);
        out.putInt(p.device).putLong(p.deviceSince).putInt(p.sim);
        out.putLong(p.fixMs).putDouble(p.fixLatitude).putDouble(p.fixLongitude).put((byte) p.payees);
        for (int k = 0; k < p.payees; k++) {
            out.putInt(p.payee[k]).putInt(p.payeeCount[k]);
        }
        return out.array();
    }

    private static Payer decode(byte[] bytes) {
        ByteBuffer in = ByteBuffer.wrap(bytes);
        Payer p = new Payer();
        p.lastMs = in.getLong();
        p.payments = in.getInt();
        p.logMean = in.getDouble();
        p.logVariance = in.getDouble();
        p.highest = in.getDouble();
        p.hourCount = in.getDouble();
        p.hourRupees = in.getDouble();
        p.dayCount = in.getDouble();
        p.dayRupees = in.getDouble();
        p.device = in.getInt();
        p.deviceSince = in.getLong();
        p.sim = in.getInt();
        p.fixMs = in.getLong();
        p.fixLatitude = in.getDouble();
        p.fixLongitude = in.getDouble();
        p.payees = in.get();
        for (int k = 0; k < p.payees; k++) {
            p.payee[k] = in.getInt();
            p.payeeCount[k] = in.getInt();
        }
        return p;
    }

    private PayerSerde() {}
}
