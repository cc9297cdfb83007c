using Onggi.Caching;
using Onggi.Testing;

namespace Onggi.Tests.Caching;

public class ShortTextTests
{
    [Fact]
    public void It_knows_texts_of_eight_to_sixteen_characters()
    {
        for (var length = 1; length <= 40; length++)
            Assert.Equal(length is >= 8 and <= 16, new ShortText(new string('a', length)).IsWhole);
    }

    [Fact]
    public void A_text_with_one_other_character_is_another()
    {
        for (var length = 8; length <= 16; length++)
        {
            var text = Random(length, new Random(Seed.Value + length));
            var shortText = new ShortText(text);
            Assert.True(shortText.SaysTheSame(new string(text)), Seed.Line);
            for (var at = 0; at < length; at++)
            {
                foreach (var flip in (int[])[1, 0x80, 0x100, 0x8000])
                {
                    var other = text.ToCharArray();
                    other[at] ^= (char)flip;
                    Assert.False(shortText.SaysTheSame(new string(other)), $"{length}, {at}, {flip} ({Seed.Line})");
                }
            }
        }
    }

    [Fact]
    public void A_text_of_another_length_is_another()
    {
        // Their halves are equal: the length alone tells them apart.
        for (var length = 8; length <= 16; length++)
        {
            for (var other = 1; other <= 40; other++)
                Assert.Equal(length == other, new ShortText(new string('a', length)).SaysTheSame(new string('a', other)));
        }
    }

    private static string Random(int length, Random random) =>
        new([.. Enumerable.Range(0, length).Select(_ => (char)random.Next(1, 0xffff))]);
}
