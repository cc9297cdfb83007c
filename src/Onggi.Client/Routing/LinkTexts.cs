using Onggi.Client.Connections;
using Onggi.Client.Resp;

namespace Onggi.Client.Routing;

/// <summary>What a link says when it fails, and what log lines call it.</summary>
internal static class LinkTexts
{
    // For log lines: a client has several links.
    public static string Of(LinkPurpose purpose) =>
        purpose switch
        {
            LinkPurpose.Bulk => "large values",
            LinkPurpose.Blocking => "blocking callers",
            LinkPurpose.Subscriptions => "subscriptions",
            LinkPurpose.Tracking => "tracked reads",
            LinkPurpose.Lease => "one caller",
            LinkPurpose.Discovery => "finding the primary",
            _ => "commands",
        };

    public static string Of(TimeSpan span) => span.TotalSeconds >= 1 ? $"{span.TotalSeconds:0.#} s" : $"{span.TotalMilliseconds:0} ms";

    /// <summary>The connection that a command is for is not there any more.</summary>
    public static RedisConnectionException Over(LinkSettings settings) =>
        new(
            $"The connection to {settings.Server} is over. {(settings.Purpose == LinkPurpose.Lease ? "Take a new lease." : "What is for it alone is not sent on the next one.")}",
            Sent.No
        );

    /// <summary>Why an attempt to connect failed, in a sentence.</summary>
    public static RedisConnectionException Explain(Exception error, bool timedOut, ServerSource server, RedisClientOptions options) =>
        error switch
        {
            RedisConnectionException known => known,
            OperationCanceledException when timedOut => new RedisConnectionException(
                $"{server} did not answer within {Of(options.ConnectTimeout)}: it is unreachable, or it hangs{(options.Tls is null ? "" : ", or its port does not speak TLS")}.",
                Sent.No,
                error
            ),
            RespProtocolException => new RedisConnectionException(
                $"What answers at {server} is not Redis: {error.Message}",
                Sent.No,
                error
            ),
            OperationCanceledException => new RedisConnectionException($"{server} moved while we connected to it.", Sent.No, error),
            _ => new RedisConnectionException($"Could not connect to {server}: {error.Message.TrimEnd('.')}.", Sent.No, error),
        };
}
