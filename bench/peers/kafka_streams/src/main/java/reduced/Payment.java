package reduced;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.annotation.JsonNaming;

/** The fields of a payment that the job reads; null for what is missing. */
@JsonIgnoreProperties(ignoreUnknown = true)
@JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
record Payment(
        String transactionId,
        long eventTime,
        String payer,
        String payee,
        long amount,
        String deviceId,
        String simId,
        Double latitude,
        Double longitude,
        Double ipLatitude,
        Double ipLongitude,
        String payeeType,
        Integer networkRiskScore) {}
