package reduced;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import java.nio.file.Path;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.Stores;

/** The reduced job in Kafka Streams; run by bench.peers, which gives everything as one argument of JSON. */
public final class ReducedJob {

    /** What bench/peers/job.py says. */
    @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
    record Job(
            String bootstrapServers,
            String group,
            String transactions,
            String alerts,
            int partitions,
            String model,
            double threshold,
            String directory,
            @JsonProperty("settings") Map<String, String> settings) {}

    public static void main(String[] arguments) throws Exception {
        Job job = new ObjectMapper().readValue(arguments[0], new TypeReference<Job>() {});
        Properties properties = new Properties();
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, job.group());
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, job.bootstrapServers());
        properties.put(StreamsConfig.STATE_DIR_CONFIG, job.directory());
        properties.putAll(job.settings());
        KafkaStreams streams = new KafkaStreams(topology(job), properties);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }

    static Topology topology(Job job) throws Exception {
        Trees trees = Trees.load(Path.of(job.model()));
        StreamsBuilder builder = new StreamsBuilder();
        builder.addStateStore(
                Stores.keyValueStoreBuilder(
                                Stores.persistentKeyValueStore(Scoring.STORE), Serdes.String(), PayerSerde.create())
                        .withCachingEnabled());
        builder.stream(job.transactions(), Consumed.with(Serdes.String(), Json.serde(Payment.class)))
                .process(() -> new Scoring(trees, job.threshold()), Scoring.STORE)
                .to(job.alerts(), Produced.with(Serdes.String(), Json.serde(Alert.class)));
        return builder.build();
    }

    private ReducedJob() {}
}
