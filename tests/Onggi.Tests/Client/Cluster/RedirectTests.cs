using Onggi.Client;
using Onggi.Client.Routing.Cluster;

namespace Onggi.Tests.Client.Cluster;

public class RedirectTests
{
    private static readonly RedisAddress Asked = new("10.0.0.9", 7000);

    [Theory]
    [InlineData("MOVED 3999 127.0.0.1:6381", false, 3999, "127.0.0.1:6381")]
    [InlineData("ASK 0 127.0.0.1:6381", true, 0, "127.0.0.1:6381")]
    [InlineData("MOVED 16383 redis-2.example.org:6381", false, 16383, "redis-2.example.org:6381")]
    [InlineData("MOVED 3999 :6381", false, 3999, "10.0.0.9:6381")]
    [InlineData("MOVED 3999 ::1:6381", false, 3999, "[::1]:6381")]
    [InlineData("MOVED 3999 fe80::2:6381", false, 3999, "[fe80::2]:6381")]
    [InlineData("ASK 3999 [::1]:6381", true, 3999, "[::1]:6381")]
    [InlineData("MOVED 3999 ?:6381", false, 3999, null)]
    public void Redirects_are_read(string error, bool ask, int slot, string? to)
    {
        Assert.True(Redirect.TryParse(error, Asked, out var redirect));
        Assert.Equal((ask, slot, to), (redirect.Ask, redirect.Slot, redirect.To?.ToString()));
    }

    [Theory]
    [InlineData("ERR unknown command")]
    [InlineData("TRYAGAIN Multiple keys request during rehashing of slot")]
    [InlineData("CLUSTERDOWN Hash slot not served")]
    [InlineData("MOVED")]
    [InlineData("MOVED 3999")]
    [InlineData("MOVED 16384 127.0.0.1:6381")]
    [InlineData("MOVED -1 127.0.0.1:6381")]
    [InlineData("MOVED x 127.0.0.1:6381")]
    [InlineData("MOVED 3999 127.0.0.1")]
    [InlineData("MOVED 3999 127.0.0.1:65536")]
    [InlineData("ASKING 3999 127.0.0.1:6381")]
    public void Other_errors_are_none(string error) => Assert.False(Redirect.TryParse(error, Asked, out _));
}
