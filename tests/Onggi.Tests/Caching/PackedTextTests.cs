using System.Runtime.Intrinsics;
using Onggi.Caching;
using Onggi.Testing;

namespace Onggi.Tests.Caching;

public class PackedTextTests
{
    [Fact]
    public void It_packs_up_to_sixteen_characters_of_Latin_1_and_no_others()
    {
        for (var length = 1; length <= 40; length++)
        {
            Assert.Equal(length <= 16, PackedText.TryPack(new string('\u00ff', length), out _));
            for (var at = 0; at < length; at++)
            {
                foreach (var foreign in "\u0100\u0161\u7fff\u8000\uffff")
                    Assert.False(PackedText.TryPack($"{new string('a', at)}{foreign}{new string('a', length - at - 1)}", out _));
            }
        }
    }

    [Fact]
    public void A_text_with_one_other_character_is_packed_otherwise()
    {
        for (var length = 1; length <= 16; length++)
        {
            var text = Random(length, new Random(Seed.Value + length));
            Assert.Equal(Packed(text), Packed(new string(text.AsSpan())));
            for (var at = 0; at < length; at++)
            {
                for (var flip = 1; flip < 256; flip++)
                {
                    var other = text.ToCharArray();
                    other[at] ^= (char)flip;
                    Assert.False(Packed(text) == Packed(new string(other)), $"{length}, {at}, {flip} ({Seed.Line})");
                }
            }
        }
    }

    [Fact]
    public void Texts_that_are_packed_alike_have_other_lengths()
    {
        // Their halves are equal, or begin with nothing: the form tells them apart.
        Assert.Equal(Packed("aaaaaaaa"), Packed("aaaaaaaaa"));
        Assert.Equal(Packed("a"), Packed("\0a"));
        for (var length = 1; length <= 40; length++)
            Assert.Equal(length <= 16 ? length : HitSlot.Unpacked, Form(new string('a', length)));
        Assert.Equal(HitSlot.Unpacked, Form("고객"));
    }

    private static byte Form(string id) => HitSlot.Form(ProvenHarness.Key(id), out _);

    private static Vector128<byte> Packed(string text)
    {
        Assert.True(PackedText.TryPack(text, out var packed));
        return packed;
    }

    private static string Random(int length, Random random) => new([.. Enumerable.Range(0, length).Select(_ => (char)random.Next(256))]);
}
