using Onggi.Client;
using Onggi.Client.Connections;
using Onggi.Client.Resp;

namespace Onggi.Benchmarks.L2;

/// <summary><c>GET</c> and <c>PTTL</c> in one flush, by the client alone: no cache can read a value and its life for less.</summary>
internal sealed class BarePair(RedisClient redis, string name) : FirstReply
{
    private static readonly ReplyParser<BarePair, bool> Life = static (pair, ref reader) =>
    {
        pair._left = reader.ReadInt64();
        return true;
    };

    private byte[]? _value;
    private long _left;

    /// <summary>Not twice at a time.</summary>
    public ValueTask<bool> AskAsync()
    {
        if (_left < 0)
            throw new InvalidOperationException($"{name} has no life.");
        var get = new Command(["GET", name]);
        var life = new Command(["PTTL", name]);
        return redis.Router.SendPairAsync(in get, in life, this, Life, CommandOptions.Idempotent, CancellationToken.None);
    }

    protected override void Take(ref RespReader reader) =>
        _value = reader.ReadBytes() ?? throw new InvalidOperationException($"{name} is gone.");
}
