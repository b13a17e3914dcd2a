package tahoe;

import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import org.apache.lucene.analysis.LowerCaseFilter;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.email.UAX29URLEmailTokenizer;
import org.apache.lucene.analysis.miscellaneous.RemoveDuplicatesTokenFilter;
import org.apache.lucene.analysis.pattern.PatternCaptureGroupTokenFilter;
import org.elasticsearch.index.analysis.TokenFilterFactory;
import org.elasticsearch.index.analysis.TokenizerFactory;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.elasticsearch.plugins.AnalysisPlugin;
import org.elasticsearch.plugins.Plugin;

/**
 * The index in which Elasticsearch keeps users, roles and API keys names four parts of an analyzer
 * that the server for integration tests comes without. Lucene has them; this gives them their names.
 */
public final class SecurityAnalysis extends Plugin implements AnalysisPlugin {
    @Override
    public Map<String, AnalysisProvider<TokenFilterFactory>> getTokenFilters() {
        return Map.of(
            "lowercase", (index, node, name, settings) -> filter(name, LowerCaseFilter::new),
            "unique", (index, node, name, settings) ->
                filter(name, RemoveDuplicatesTokenFilter::new),
            "pattern_capture", AnalysisPlugin.requiresAnalysisSettings(
                (index, node, name, settings) -> {
                    boolean whole = settings.getAsBoolean("preserve_original", true);
                    Pattern[] patterns = settings.getAsList("patterns").stream()
                        .map(Pattern::compile).toArray(Pattern[]::new);
                    return filter(name, tokens ->
                        new PatternCaptureGroupTokenFilter(tokens, whole, patterns));
                }));
    }

    @Override
    public Map<String, AnalysisProvider<TokenizerFactory>> getTokenizers() {
        return Map.of("uax_url_email", (index, node, name, settings) ->
            TokenizerFactory.newFactory(name, UAX29URLEmailTokenizer::new));
    }

    private static TokenFilterFactory filter(String name, UnaryOperator<TokenStream> make) {
        return new TokenFilterFactory() {
            @Override
            public String name() {
                return name;
            }

            @Override
            public TokenStream create(TokenStream tokens) {
                return make.apply(tokens);
            }
        };
    }
}
