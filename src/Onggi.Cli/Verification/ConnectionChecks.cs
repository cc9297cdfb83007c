using System.Net.Sockets;
using Onggi.Client;

namespace Onggi.Cli.Verification;

/// <summary>Whether Redis is there, for those whom it is there for and for nobody else.</summary>
internal static class ConnectionChecks
{
    private const string Category = "connection";
    private static readonly TimeSpan OutsidePatience = TimeSpan.FromSeconds(3);

    public static IEnumerable<VerifyCheck> All() =>
        [
            new(
                "ONG001",
                Category,
                "Redis answers",
                "a connection with this user and password, and an answer to PING",
                "Nothing else can be asked of it.",
                CheckSource.Server,
                AnswersAsync
            )
            {
                Item = "1 Redis runs, 2 the service can be reached",
            },
            new(
                "ONG002",
                Category,
                "It is the primary, and loaded",
                "role master, loading 0",
                "A replica refuses writes, and who loads answers nobody.",
                CheckSource.Server,
                IsPrimaryAsync
            )
            {
                Needs = "ONG001",
                Item = "1 Redis runs",
            },
            new(
                "ONG003",
                Category,
                "Who does not log in is refused",
                "NOAUTH or NOPERM without user and password",
                "Whoever reaches the port reads, changes and deletes everything.",
                CheckSource.Server,
                RefusesAnonymousAsync
            )
            {
                Needs = "ONG001",
                Item = "3 passwords",
            },
            new(
                "ONG004",
                Category,
                "A wrong password is refused",
                "WRONGPASS",
                "A password that any other does as well for protects nothing.",
                CheckSource.Server,
                RefusesWrongPasswordAsync
            )
            {
                Needs = "ONG001",
                Item = "3 passwords",
            },
            new(
                "ONG010",
                Category,
                "Nobody listens on the way",
                "TLS in production, and no second port without it",
                "Passwords and sessions go over the network as they are.",
                CheckSource.Server,
                SpeaksTlsAsync
            )
            {
                Needs = "ONG001",
                Item = "8 network",
            },
            new(
                "ONG027",
                "network",
                "Redis cannot be reached from here",
                "no connection, from a place that has no business with Redis",
                "The network policy protects nothing: every pod reaches Redis, and a stolen password is enough.",
                CheckSource.Other,
                IsOutOfReachAsync
            )
            {
                Item = "8 network",
            },
        ];

    private static async Task<CheckOutcome> AnswersAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        try
        {
            await target.ConnectAsync(cancellationToken).ConfigureAwait(false);
            await target.Client.PingAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (RedisException problem)
        {
            return CheckOutcome.Fail(
                problem.Message,
                $"Check the connection (--redis, or the variable {Commands.Inputs.RedisVariable}), the network policy, and that the user is there: onggi acl check."
            );
        }

        var server = target.Client.Server;
        return CheckOutcome.Of($"{server?.Product} {server?.Version} ({server?.Mode}, {server?.Role}) at {target.Client.Options}");
    }

    private static async Task<CheckOutcome> IsPrimaryAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        var info = await target.InfoAsync(cancellationToken).ConfigureAwait(false);
        var observed = $"role {info["role"]}, loading {info["loading"] ?? "0"}";
        return info["role"] switch
        {
            "slave" => CheckOutcome.Of(
                observed,
                new Problem(
                    $"it is a replica of {info["master_host"]}:{info["master_port"]} (link {info["master_link_status"]}).",
                    "Connect to the primary, or name the Sentinels: onggi verify --redis 'sentinel1:26379,serviceName=…'."
                )
            ),
            _ when info["loading"] is not (null or "0") => CheckOutcome.Of(
                observed,
                new Problem("it is still loading its data.", "Wait for it: onggi verify --wait 2m.")
            ),
            _ => CheckOutcome.Ok(observed),
        };
    }

    private static async Task<CheckOutcome> RefusesAnonymousAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        try
        {
            var client = await target.ConnectAsAsync(user: null, password: null, cancellationToken).ConfigureAwait(false);
            await client.DisposeAsync().ConfigureAwait(false);
        }
        catch (RedisException refusal) when (!refusal.IsTransient)
        {
            return CheckOutcome.Ok("refused");
        }

        return CheckOutcome.Of(
            "let in",
            new Problem(
                "who does not say who he is is let in.",
                "Give every service a user and turn the default one off: onggi acl apply; and write aclfile into redis.conf."
            )
        );
    }

    // On a connection that is logged in already, so that the refusal in ACL LOG has our name.
    private static async Task<CheckOutcome> RefusesWrongPasswordAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        var user = target.Client.Options.User ?? Access.AccessUser.Default;
        var lease = await target.Client.LeaseAsync(cancellationToken).ConfigureAwait(false);
        await using (lease.ConfigureAwait(false))
        {
            try
            {
                await lease
                    .SendAsync(["AUTH", user, $"onggi-verify-{Guid.NewGuid():N}"], ReplyParsers.Ignore, cancellationToken)
                    .ConfigureAwait(false);
            }
            catch (RedisServerException refusal) when (refusal.Code == "WRONGPASS")
            {
                return CheckOutcome.Ok("refused");
            }
        }

        return CheckOutcome.Of(
            "accepted",
            new Problem(
                $"the user {user} is let in with any password.",
                "Give it one: onggi acl apply; or take nopass away: ACL SETUSER … resetpass."
            )
        );
    }

    private static async Task<CheckOutcome> SpeaksTlsAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        var options = target.Client.Options;
        if (options.Tls is null)
            return target.Settings.IsProduction
                ? CheckOutcome.Of(
                    "no TLS",
                    new Problem(
                        "the connection is not encrypted.",
                        "Write: onggi conf show --production --tls FOLDER, and connect by rediss://."
                    )
                )
                : CheckOutcome.Ok("no TLS; in development that is allowed");
        var config = await target.ConfigAsync(cancellationToken).ConfigureAwait(false);
        var plain = config.GetValueOrDefault("port", "0");
        return plain == "0"
            ? CheckOutcome.Ok("TLS only")
            : CheckOutcome.Of(
                $"TLS, and port {plain} without",
                new Problem(
                    $"beside TLS it listens on port {plain} without.",
                    "Write: port 0, and restart it.",
                    !target.Settings.IsProduction
                )
            );
    }

    private static async Task<CheckOutcome> IsOutOfReachAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        if (!target.Settings.Outside)
            return CheckOutcome.Skip("only with --outside, run where nobody may reach Redis");
        var address = Commands.Inputs.OptionsOf(target.Settings.Redis) is { Servers: [var first, ..] } several
            ? (first.Host, first.Port, Text: several.ToString())
            : Single(target);
        using var patience = new CancellationTokenSource(OutsidePatience, target.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        using var socket = new TcpClient();
        try
        {
            await socket.ConnectAsync(address.Host, address.Port, either.Token).ConfigureAwait(false);
        }
        catch (SocketException unknown)
            when (unknown.SocketErrorCode is SocketError.HostNotFound or SocketError.NoData or SocketError.TryAgain)
        {
            // A name that is misspelt cannot be reached from anywhere.
            return CheckOutcome.Fail(
                $"{address.Text}: nobody knows this name here ({unknown.SocketErrorCode}).",
                "Name the address as the services have it; where names are not resolved on purpose, name the IP address."
            );
        }
        catch (SocketException refusal)
        {
            return CheckOutcome.Ok($"{address.Text}: {refusal.SocketErrorCode}");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return CheckOutcome.Ok($"{address.Text}: no answer within {OutsidePatience.TotalSeconds:0} s");
        }

        return CheckOutcome.Of(
            $"{address.Text}: connected",
            new Problem(
                $"{address.Text} takes connections from here.",
                "Allow only pods with the label of a client, and see that the cluster enforces network policies at all."
            )
        );
    }

    private static (string Host, int Port, string Text) Single(VerifyTarget target)
    {
        var options = Commands.Inputs.OptionsOf(target.Settings.Redis);
        return (options.Host, options.Port, options.ToString());
    }
}
