using System.Text;
using Onggi.Client;
using Onggi.Client.Routing.Cluster;
using Onggi.Testing;

namespace Onggi.Tests.Client.Cluster;

public class HashSlotTests
{
    // The first is the check value of CRC16/XMODEM; the others a server's answers to CLUSTER KEYSLOT.
    [Theory]
    [InlineData("123456789", 0x31C3 % 16_384)]
    [InlineData("", 0)]
    [InlineData("foo", 12182)]
    [InlineData("bar", 5061)]
    [InlineData("hello", 866)]
    [InlineData("somekey", 11058)]
    [InlineData("foo{hash_tag}", 2515)]
    [InlineData("bar{hash_tag}", 2515)]
    public void Known_keys_have_their_known_slots(string key, int slot)
    {
        Assert.Equal(slot, HashSlot.Of(Encoding.UTF8.GetBytes(key)));
        Assert.Equal(slot, HashSlot.Of((RedisArg)key));
        Assert.Equal(slot, HashSlot.Of((RedisArg)Encoding.UTF8.GetBytes(key)));
    }

    [Theory]
    [InlineData("{user1000}.following", "user1000")]
    [InlineData("a{user1000}b{other}", "user1000")]
    [InlineData("foo{}{bar}", "foo{}{bar}")]
    [InlineData("foo{{bar}}zap", "{bar")]
    [InlineData("foo{bar", "foo{bar")]
    [InlineData("foo}bar{", "foo}bar{")]
    [InlineData("}{a}", "a")]
    public void The_first_braces_decide_unless_nothing_stands_in_them(string key, string hashed) =>
        Assert.Equal(WithoutBraces(hashed), HashSlot.Of((RedisArg)key));

    [Fact]
    public void Text_of_any_length_has_the_slot_of_its_bytes()
    {
        foreach (var length in (int[])[1, 85, 86, 255, 256, 257, 100_000])
        {
            var key = new string('ż', length);

            Assert.Equal(HashSlot.Of(Encoding.UTF8.GetBytes(key)), HashSlot.Of((RedisArg)key));
        }
    }

    [Fact]
    public void Numbers_have_the_slot_of_their_digits() => Assert.Equal(HashSlot.Of("-42"u8), HashSlot.Of((RedisArg)(-42)));

    [Fact]
    public async Task It_allocates_nothing()
    {
        RedisArg[] keys = ["user:{1000}:name", new byte[40], 17, new string('é', 1_000)];
        var sum = 0;

        await Allocation.NoneAsync(() =>
        {
            for (var i = 0; i < 100; i++)
                sum |= Sum();
        });

        Assert.NotEqual(0, sum);

        int Sum()
        {
            var all = 0;
            foreach (ref readonly var key in keys.AsSpan())
                all += HashSlot.Of(in key);
            return all;
        }
    }

    // A second, slow way to the slot, bit by bit, that knows nothing of braces.
    private static int WithoutBraces(string key)
    {
        var crc = 0;
        foreach (var one in Encoding.UTF8.GetBytes(key))
        {
            crc ^= one << 8;
            for (var bit = 0; bit < 8; bit++)
                crc = (crc & 0x8000) != 0 ? ((crc << 1) ^ 0x1021) & 0xffff : crc << 1;
        }

        return crc % 16_384;
    }
}
