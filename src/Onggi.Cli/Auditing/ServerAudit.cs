using System.Globalization;
using Onggi.Cli.Server;
using Onggi.Cli.Verification;
using Onggi.Client;
using Onggi.Client.Resp;

namespace Onggi.Cli.Auditing;

/// <summary>What the server itself tells: other databases, and accesses that it refused.</summary>
internal static class ServerAudit
{
    private const int Entries = 128;

    /// <summary>Adds what is found; gives what was refused.</summary>
    public static async Task<IReadOnlyList<RefusedAccess>> AddAsync(
        RedisClient client,
        ServerInfo info,
        AuditFindings findings,
        ICollection<string> notes,
        CancellationToken cancellationToken
    )
    {
        foreach (var (database, keys) in info.Databases.Where(database => database.Key != client.Options.Database))
            findings.Add(
                findings.Here(
                    "ONG018",
                    $"database {database}",
                    $"{keys} keys.",
                    "Rights do not know databases, a cluster has one, and nobody looks into the others.",
                    $"Move them: onggi migrate; or look whose they are: redis-cli -n {database} --scan"
                )
            );
        try
        {
            var log = await client.ExecuteAsync(["ACL", "LOG", Entries], cancellationToken).ConfigureAwait(false);
            return AddRefusals(log, findings);
        }
        catch (RedisServerException refusal) when (refusal.Code == "NOPERM")
        {
            notes.Add("Refused accesses are not shown: this user may not read ACL LOG. Log in as the operator.");
            return [];
        }
    }

    // Our own tools' attempts are no news: verify tries a wrong password to see it refused.
    private static List<RefusedAccess> AddRefusals(Reply log, AuditFindings findings)
    {
        var entries = log
            .Items.Select(entry =>
                (
                    Reason: entry["reason"]?.Text ?? "",
                    Object: entry["object"]?.Text ?? "",
                    User: entry["username"]?.Text ?? "",
                    Count: long.TryParse(entry["count"]?.Text, NumberStyles.None, CultureInfo.InvariantCulture, out var count) ? count : 1,
                    Client: entry["client-info"]?.Text ?? ""
                )
            )
            .Where(entry =>
                !entry.Client.Contains($" name={VerifyTarget.ClientName} ", StringComparison.Ordinal)
                && !entry.Client.Contains(" name=onggi-cli ", StringComparison.Ordinal)
            );
        var refusals = new List<RefusedAccess>();
        foreach (var group in entries.GroupBy(entry => (entry.User, entry.Reason)))
        {
            refusals.Add(new RefusedAccess(group.Key.User, group.Key.Reason, group.Sum(entry => entry.Count)));
            var things = group
                .GroupBy(entry => entry.Object)
                .OrderByDescending(thing => thing.Sum(entry => entry.Count))
                .Select(thing => $"{PersonalData.Mask(thing.Key)} ({thing.Sum(entry => entry.Count)})")
                .ToList();
            findings.Add(
                findings.Here(
                    "ONG090",
                    $"user {group.Key.User}",
                    $"refused {group.Sum(entry => entry.Count)} times, for {Reason(group.Key.Reason)}: {string.Join(", ", things.Take(5))}{(things.Count > 5 ? ", …" : "")}.",
                    "A right lacks, a password is old, or somebody tries doors.",
                    group.Key.Reason == "auth"
                        ? "See who connects from there (ACL LOG has the address); a changed password: onggi acl rotate."
                        : "If the service needs it, name it under readers or publishers in the catalog, then: onggi acl apply. When all is explained: ACL LOG RESET.",
                    isWarning: true
                )
            );
        }

        return refusals;
    }

    private static string Reason(string reason) =>
        reason switch
        {
            "auth" => "a wrong password",
            "command" => "commands",
            "key" => "keys",
            "channel" => "channels",
            _ => reason,
        };
}
