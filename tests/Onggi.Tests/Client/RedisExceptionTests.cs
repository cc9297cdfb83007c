using Onggi.Client;

namespace Onggi.Tests.Client;

public sealed class RedisExceptionTests
{
    /// <summary>Error line · its code · whether the command can have been executed · whether trying again later may help.</summary>
    public static TheoryData<string, string, Sent, bool> Lines { get; } =
        new()
        {
            { "ERR unknown command 'FOO'", "ERR", Sent.Maybe, false },
            { "WRONGTYPE Operation against a key holding the wrong kind of value", "WRONGTYPE", Sent.Maybe, false },
            { "NOSCRIPT No matching script. Please use EVAL.", "NOSCRIPT", Sent.No, true },
            { "OOM command not allowed when used memory > 'maxmemory'.", "OOM", Sent.No, true },
            { "LOADING Redis is loading the dataset in memory", "LOADING", Sent.No, true },
            { "READONLY You can't write against a read only replica.", "READONLY", Sent.No, true },
            { "BUSY Redis is busy running a script.", "BUSY", Sent.No, true },
            { "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", "MASTERDOWN", Sent.No, true },
            { "CLUSTERDOWN The cluster is down", "CLUSTERDOWN", Sent.No, true },
            { "TRYAGAIN Multiple keys request during rehashing of slot", "TRYAGAIN", Sent.No, true },
            { "NOREPLICAS Not enough good replicas to write.", "NOREPLICAS", Sent.No, true },
            { "MOVED 3999 127.0.0.1:6381", "MOVED", Sent.No, false },
            { "ASK 3999 127.0.0.1:6381", "ASK", Sent.No, false },
            { "NOAUTH Authentication required.", "NOAUTH", Sent.No, false },
            { "NOPERM this user has no permissions to run the 'get' command", "NOPERM", Sent.No, false },
            { "WRONGPASS invalid username-password pair or user is disabled.", "WRONGPASS", Sent.No, false },
            { "UNKILLABLE Sorry the script already executed write commands", "UNKILLABLE", Sent.Maybe, false },
            { "EXECABORT Transaction discarded because of previous errors.", "EXECABORT", Sent.No, false },
            { "NOWORDS", "NOWORDS", Sent.Maybe, false },
            { "", "", Sent.Maybe, false },
        };

    [Theory]
    [MemberData(nameof(Lines))]
    public void An_error_line_says_whether_it_was_executed_and_whether_it_may_pass(string line, string code, Sent sent, bool isTransient)
    {
        var error = new RedisServerException(line);

        Assert.Equal((code, sent, isTransient), (error.Code, error.Sent, error.IsTransient));
        Assert.Equal(line, error.Message);
    }

    [Fact]
    public void What_happens_on_our_side_says_the_same()
    {
        Assert.Equal((Sent.No, true), Of(new RedisConnectionException("", Sent.No)));
        Assert.Equal((Sent.Maybe, true), Of(new RedisConnectionException("", Sent.Maybe)));
        Assert.Equal((Sent.No, false), Of(new RedisConnectionException("", Sent.No, isTransient: false)));
        Assert.Equal((Sent.Maybe, true), Of(new RedisTimeoutException("", Sent.Maybe)));
        Assert.Equal((Sent.No, true), Of(new RedisTimeoutException("", Sent.No)));
        Assert.Equal((Sent.No, true), Of(new RedisBusyException("")));
        Assert.Equal((Sent.Maybe, false), Of(new RedisReplyException("")));

        static (Sent, bool) Of(RedisException error) => (error.Sent, error.IsTransient);
    }
}
