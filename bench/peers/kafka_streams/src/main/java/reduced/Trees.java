package reduced;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;

/**
 * XGBoost's trees from its JSON file, in one flat array; why not XGBoost4J stands in docs/decisions.
 *
 * <p>A node is 4 numbers in a row: the feature, with MISSING_LEFT where a missing value goes left, or -1 for a leaf; the
 * bits of the threshold, or of the leaf's value; the places of the left and of the right child.
 */
final class Trees {
    private static final int MISSING_LEFT = 1 << 30;

    private final int[] nodes;
    private final int[] roots;
    private final float base;

    private Trees(int[] nodes, int[] roots, float base) {
        this.nodes = nodes;
        this.roots = roots;
        this.base = base;
    }

    static Trees load(Path file) throws IOException {
        JsonNode learner = new ObjectMapper().readTree(file.toFile()).get("learner");
        JsonNode trees = learner.at("/gradient_booster/model/trees");
        int count = 0;
        for (JsonNode tree : trees) {
            count += tree.get("left_children").size();
        }
        int[] nodes = new int[4 * count];
        int[] roots = new int[trees.size()];
        int first = 0;
        for (int t = 0; t < roots.length; t++) {
            roots[t] = 4 * first;
            first += layOut(trees.get(t), first, nodes);
        }
        String base = learner.at("/learner_model_param/base_score").asText().replaceAll("[\\[\\]]", "");
        double probability = Double.parseDouble(base);
        return new Trees(nodes, roots, (float) Math.log(probability / (1 - probability)));
    }

    private static int layOut(JsonNode tree, int first, int[] nodes) {
        JsonNode left = tree.get("left_children");
        for (int i = 0; i < left.size(); i++) {
            int at = 4 * (first + i);
            boolean leaf = left.get(i).asInt() < 0;
            int missing = tree.get("default_left").get(i).asInt() == 1 ? MISSING_LEFT : 0;
            nodes[at] = leaf ? -1 : tree.get("split_indices").get(i).asInt() | missing;
            nodes[at + 1] = Float.floatToRawIntBits((float) tree.get("split_conditions").get(i).asDouble());
            nodes[at + 2] = 4 * (first + left.get(i).asInt());
            nodes[at + 3] = 4 * (first + tree.get("right_children").get(i).asInt());
        }
        return left.size();
    }

    double probability(float[] features) {
        return 1 / (1 + Math.exp(-margin(features)));
    }

    float margin(float[] features) {
        float sum = base;
        for (int at : roots) {
            int split = nodes[at];
            while (split >= 0) {
                float x = features[split & ~MISSING_LEFT];
                float threshold = Float.intBitsToFloat(nodes[at + 1]);
                boolean left = x < threshold || (x != x && (split & MISSING_LEFT) != 0);
                at = nodes[at + (left ? 2 : 3)];
                split = nodes[at];
            }
            sum += Float.intBitsToFloat(nodes[at + 1]);
        }
        return sum;
    }
}
