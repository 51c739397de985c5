package reduced;

import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;

/** A payment in, its payer's record moved on, an alert out if its score reaches the threshold. */
final class Scoring implements Processor<String, Payment, String, Alert> {
    static final String STORE = "payers";

    private final Trees trees;
    private final double threshold;
    private final float[] features = new float[Features.COUNT];
    private ProcessorContext<String, Alert> context;
    private KeyValueStore<String, Payer> payers;

    Scoring(Trees trees, double threshold) {
        this.trees = trees;
        this.threshold = threshold;
    }

    @Override
    public void init(ProcessorContext<String, Alert> context) {
        this.context = context;
        this.payers = context.getStateStore(STORE);
    }

    @Override
    public void process(Record<String, Payment> record) {
        Payment payment = record.value();
        Payer payer = payers.get(record.key());
        if (payer == null) {
            payer = new Payer();
        }
        Features.judge(payment, payer, features);
        payers.put(record.key(), payer);
        double score = trees.probability(features);
        if (score >= threshold) {
            context.forward(record.withValue(new Alert(payment.transactionId(), payment.payer(), score)));
        }
    }
}
