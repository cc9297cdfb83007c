using Onggi.Client;
using Onggi.Keys;

namespace Onggi.Cli.Access;

/// <summary>Who may do what, asked of the server by ACL DRYRUN, which does nothing.</summary>
internal static class AccessMatrix
{
    private const string Refused = "no permissions";

    // What no service needs, and what would take everything from all of them at once.
    private static readonly string[][] Forbidden =
    [
        ["FLUSHALL"],
        ["FLUSHDB"],
        ["SWAPDB", "0", "1"],
        ["KEYS", "*"],
        ["SCAN", "0"],
        ["RANDOMKEY"],
        ["DBSIZE"],
        ["SELECT", "1"],
        ["CONFIG", "GET", "*"],
        ["CONFIG", "SET", "maxmemory", "1mb"],
        ["ACL", "LIST"],
        ["ACL", "SETUSER", "x"],
        ["SCRIPT", "FLUSH"],
        ["FUNCTION", "FLUSH"],
        ["DEBUG", "SLEEP", "0"],
        ["SHUTDOWN"],
        ["REPLICAOF", "NO", "ONE"],
        ["MONITOR"],
        ["CLIENT", "LIST"],
        ["CLIENT", "KILL", "ID", "1"],
        ["CLIENT", "PAUSE", "1"],
        ["SAVE"],
        ["MIGRATE", "h", "1", "k", "0", "1"],
    ];

    /// <summary>One question and what was answered.</summary>
    /// <param name="User">Who.</param>
    /// <param name="Command">What, with a made-up key.</param>
    /// <param name="Expected">Whether the catalog allows it.</param>
    /// <param name="Actual">Whether the server does; <c>null</c> where it does not know the user.</param>
    /// <param name="Why">Why it is expected.</param>
    internal sealed record Cell(string User, string Command, bool Expected, bool? Actual, string Why)
    {
        /// <summary>Whether the server does as the catalog says.</summary>
        public bool IsRight => Actual == Expected;

        /// <summary>Whether it is about the same user and command, with arguments.</summary>
        public bool Tells(Cell bare) => User == bare.User && $"{Command} ".StartsWith($"{bare.Command} ", StringComparison.Ordinal);
    }

    /// <summary>Asks everything: what is worth a line by itself, and then of every command whether each user may run it.</summary>
    /// <returns>How many questions there were; the answers of the first kind, and of the second those that are wrong and not told by the first.</returns>
    /// <exception cref="RedisException">The server cannot be asked, or this user may not ask.</exception>
    public static async Task<(int Asked, IReadOnlyList<Cell> Cells)> AskAsync(
        RedisClient client,
        Keyspace keyspace,
        CancellationToken cancellationToken
    )
    {
        var questions = Questions(keyspace).ToList();
        var cells = await Task.WhenAll(questions.ConvertAll(question => AskAsync(client, question, cancellationToken)))
            .ConfigureAwait(false);
        var (asked, wrong) = await CommandRights.AskAsync(client, keyspace, cancellationToken).ConfigureAwait(false);
        return (asked + cells.Length, [.. cells, .. wrong.Where(cell => !cells.Any(known => !known.IsRight && known.Tells(cell)))]);
    }

    private static async Task<Cell> AskAsync(
        RedisClient client,
        (string User, string[] Command, bool Expected, string Why) question,
        CancellationToken cancellationToken
    )
    {
        bool? allowed;
        try
        {
            RedisArg[] command = ["ACL", "DRYRUN", question.User, .. question.Command.Select(word => (RedisArg)word)];
            var answer = await client.SendAsync(command, ReplyParsers.Text, cancellationToken).ConfigureAwait(false);
            allowed = answer?.Contains(Refused, StringComparison.Ordinal) != true;
        }
        catch (RedisException problem) when (problem.Message.Contains("not found", StringComparison.Ordinal))
        {
            // A command that has another name, or none, is executed by nobody.
            allowed = problem.Message.Contains("Command", StringComparison.Ordinal) ? false : null;
        }

        return new Cell(question.User, string.Join(' ', question.Command), question.Expected, allowed, question.Why);
    }

    private static IEnumerable<(string User, string[] Command, bool Expected, string Why)> Questions(Keyspace keyspace)
    {
        yield return (AccessUser.Default, ["GET", $"{keyspace.Prefix}x:1"], false, "who does not say who he is may do nothing");
        yield return (AccessUser.Default, ["PING"], false, "who does not say who he is may do nothing");
        foreach (var service in keyspace.Services)
        {
            foreach (var family in keyspace.Families)
            {
                var key = KeyOf(family);
                var writes = AccessPlan.Writes(family, service);
                var reads = writes || AccessPlan.Reads(family, service);
                yield return (
                    service,
                    ["GET", key],
                    reads,
                    $"{family.Family.Name}: {(writes ? "its own" : reads ? "it is a reader" : "another's")}"
                );
                yield return (service, ["SET", key, "1"], writes, $"{family.Family.Name}: {(writes ? "its own" : "another's")}");
                yield return (
                    service,
                    ["UNLINK", key, $"{{{key}}}:l"],
                    writes || AccessPlan.Removes(keyspace, family, service),
                    $"{family.Family.Name}: {(writes ? "its own" : "only who publishes what invalidates it")}"
                );
            }

            yield return (service, ["GET", "no-prefix:1"], false, "a key of nobody's");
            yield return (service, ["GET", $"{keyspace.Prefix}onggi:epoch"], true, "Onggi's own keys");
            yield return (service, ["SUBSCRIBE", $"{keyspace.Prefix}events:global:x"], true, "the team's events");
            yield return (service, ["SUBSCRIBE", "elsewhere"], false, "another's channel");
            yield return (service, ["ROLE"], true, "the client looks for the primary among several servers");
            foreach (var command in Forbidden)
                yield return (service, command, false, "reaches beyond its own keys");
        }

        foreach (var user in (string[])[AccessPlan.Probe, AccessPlan.Exporter])
        {
            yield return (user, ["PING"], true, "what it is for");
            yield return (user, ["GET", $"{keyspace.Prefix}x:1"], false, "reads no keys");
            yield return (user, ["CONFIG", "SET", "maxmemory", "1mb"], false, "changes nothing");
        }

        yield return (AccessPlan.Exporter, ["INFO"], true, "what it is for");
        yield return (AccessPlan.Operator, ["FLUSHALL"], false, "takes everything from everybody");
        yield return (AccessPlan.Operator, ["SCAN", "0"], true, "what it is for");
    }

    /// <summary>A key of the family: its pattern with something in the place of each identifier.</summary>
    public static string KeyOf(FamilySettings family) =>
        string.Join(':', family.Pattern.Split(':').Select(part => part.StartsWith('{') ? "1" : part));
}
