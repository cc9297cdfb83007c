using Onggi.Keys.Catalog;

namespace Onggi.Tests.Keys;

public class KeyPatternTests
{
    private static readonly string[] Words = ["a", "b"];

    /// <summary>The decision, compared with looking at every key over a small alphabet: identifiers may be any word, so two words and a third one tell all.</summary>
    [Fact]
    public void Two_patterns_overlap_exactly_when_some_key_fits_both()
    {
        var patterns = Enumerable.Range(1, 4).SelectMany(AllPatterns).ToList();
        var keys = Enumerable.Range(1, 4).SelectMany(length => Product(length, ["a", "b", "c"])).ToList();

        foreach (var left in patterns)
        {
            var fitting = keys.Where(key => Fits(key, left)).ToList();
            foreach (var right in patterns)
            {
                var expected = fitting.Exists(key => Fits(key, right));
                Assert.Equal(expected, KeyPattern.Overlap(left, right));
                if (!expected)
                    continue;
                var witness = KeyPattern.Witness(left, right).Split(':');
                Assert.True(Fits(witness, left) && Fits(witness, right));
            }
        }
    }

    [Fact]
    public void A_pattern_reads_back_as_it_was_written()
    {
        var mistakes = new List<CatalogMistake>();
        var node = new JsonNode(JsonNodeKind.Text, 0, 1, 1) { Text = "a:{x}:b.c-d_e:{y}" };

        var pattern = KeyPattern.Parse(node, "family", mistakes)!;

        Assert.Empty(mistakes);
        Assert.Equal("a:{x}:b.c-d_e:{y}", pattern.ToString());
        Assert.Equal(["x", "y"], pattern.Identifiers);
    }

    private static IEnumerable<KeySegment[]> AllPatterns(int length) =>
        Product(length, [.. Words, "*"]).Select(parts => parts.Select(part => new KeySegment(part, part == "*")).ToArray());

    private static IEnumerable<string[]> Product(int length, string[] alphabet) =>
        length == 0
            ?
            [
                [],
            ]
            : Product(length - 1, alphabet).SelectMany(head => alphabet.Select(tail => (string[])[.. head, tail]));

    private static bool Fits(string[] key, KeySegment[] pattern) =>
        key.Length == pattern.Length && key.Zip(pattern).All(pair => pair.Second.IsIdentifier || pair.Second.Text == pair.First);
}
