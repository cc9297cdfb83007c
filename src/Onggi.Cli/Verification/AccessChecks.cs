using Onggi.Cli.Access;
using Onggi.Client;

namespace Onggi.Cli.Verification;

/// <summary>Who may do what on a running Redis, and above all who may not.</summary>
internal static class AccessChecks
{
    private const string Category = "access";
    private const int Shown = 3;

    private static readonly string[] MustKeepTheirNames = ["FLUSHALL", "FLUSHDB", "KEYS", "CONFIG", "SCAN", "UNLINK", "INFO", "EVAL"];

    public static IEnumerable<VerifyCheck> All() =>
        [
            new(
                "ONG005",
                Category,
                "Everybody has a user of his own",
                "a user for each service, and the default one off",
                "With one password for all nobody can say who deleted it, and to change it stops everybody.",
                CheckSource.Server,
                HaveUsersAsync
            )
            {
                Needs = "ONG001",
                Item = "3 passwords",
            },
            new(
                "ONG006",
                Category,
                "A service cannot touch what is another's",
                "NOPERM for foreign keys and channels, by ACL DRYRUN",
                "A mistake or a break-in in one service is one in all of them.",
                CheckSource.Server,
                (target, stop) => CompareAsync(target, cell => !cell.Expected && !IsDangerous(cell), "may", stop)
            )
            {
                Needs = "ONG005",
                Item = "3 passwords",
            },
            new(
                "ONG007",
                Category,
                "Dangerous commands are refused",
                "NOPERM for FLUSHALL, FLUSHDB, SWAPDB, KEYS, CONFIG SET, SHUTDOWN and their like, and of every user for each command that it was not given, by ACL DRYRUN",
                "One line in one service takes everything from all of them.",
                CheckSource.Server,
                (target, stop) => CompareAsync(target, cell => !cell.Expected && IsDangerous(cell), "may", stop)
            )
            {
                Needs = "ONG005",
                Item = "3 passwords",
            },
            new(
                "ONG008",
                Category,
                "A service may do what it needs",
                "the rights that the catalog gives it, by ACL DRYRUN",
                "It fails with NOPERM on the day on which that code runs.",
                CheckSource.Server,
                (target, stop) => CompareAsync(target, cell => cell.Expected, "may not", stop)
            )
            {
                Needs = "ONG005",
                Item = "6 the applications",
            },
            new(
                "ONG009",
                Category,
                "The services' passwords open their own doors only",
                "each logs in with its password of the folder, and is refused a foreign key",
                "What a dry run says is the server's word; this is the deed.",
                CheckSource.Server,
                LogInAsync
            )
            {
                Needs = "ONG005",
                Item = "3 passwords",
            },
            new(
                "ONG011",
                Category,
                "There are no users that nobody asked for",
                "the users of the catalog; none without a password",
                "A forgotten user is a way in that nobody watches.",
                CheckSource.Server,
                HaveNoOthersAsync
            )
            {
                Needs = "ONG001",
                Item = "3 passwords",
            },
            new(
                "ONG036",
                Category,
                "Commands have their names",
                "no rename-command",
                "It hides from people and tools what a right takes from users, and what was forgotten does the same harm.",
                CheckSource.Server,
                KeepNamesAsync
            )
            {
                Needs = "ONG001",
            },
            new(
                "ONG067",
                Category,
                "Refused accesses are noted",
                "acllog-max-len of 1 or more",
                "Redis keeps no other log of accesses: who tries doors is seen nowhere.",
                CheckSource.Server,
                NoteRefusalsAsync
            )
            {
                Needs = "ONG001",
            },
        ];

    private static async Task<CheckOutcome> HaveUsersAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        if (target.Keyspace.Services.Count == 0)
            return CheckOutcome.Skip("the catalog names no services");
        var users = await target.UsersAsync(cancellationToken).ConfigureAwait(false);
        var wanted = target.Keyspace.Services.Concat([AccessPlan.Probe, AccessPlan.Exporter, AccessPlan.Operator]).ToList();
        var lacking = wanted.Where(name => !users.Any(user => user.Name == name && user.IsOn)).ToList();
        var problems = new List<Problem>();
        if (lacking.Count > 0)
            problems.Add(
                new Problem(
                    $"there is no user {string.Join(", ", lacking)} that is on.",
                    "Run: onggi acl apply; and write aclfile into redis.conf, so that they survive a restart.",
                    !target.Settings.IsProduction
                )
            );
        if (users.Any(user => user.Name == AccessUser.Default && user.IsOn))
            problems.Add(
                new Problem(
                    "the default user is on.",
                    "Run: onggi acl apply; it turns the default user off at last.",
                    !target.Settings.IsProduction
                )
            );
        return CheckOutcome.Of($"{users.Count} users, {lacking.Count} lacking", problems);
    }

    private static async Task<CheckOutcome> CompareAsync(
        VerifyTarget target,
        Func<AccessMatrix.Cell, bool> concerns,
        string word,
        CancellationToken cancellationToken
    )
    {
        var all = await target.CellsAsync(cancellationToken).ConfigureAwait(false);
        var cells = all.Where(cell => cell.User != AccessUser.Default && concerns(cell)).ToList();
        var wrong = cells.Where(cell => !cell.IsRight).ToList();
        return CheckOutcome.Of(
            $"{cells.Count} questions, {wrong.Count} answered otherwise",
            [
                .. wrong
                    .GroupBy(cell => cell.User)
                    .Select(group => new Problem(
                        $"{group.Key} {word} {string.Join(" · ", group.Take(Shown).Select(cell => $"{cell.Command} ({cell.Why})"))}{(group.Count() > Shown ? $" and {group.Count() - Shown} more" : "")}.",
                        "Run: onggi acl apply; all questions and answers: onggi acl check --all.",
                        Where: $"user {group.Key}"
                    )),
            ]
        );
    }

    // Its keys and channels are a service's own matter; all else reaches beyond them.
    private static bool IsDangerous(AccessMatrix.Cell cell) =>
        cell.Command.Split(' ')[0] is not ("GET" or "SET" or "UNLINK" or "SUBSCRIBE" or "PING");

    private static async Task<CheckOutcome> LogInAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        if (target.Settings.Secrets is not { } folder)
            return CheckOutcome.Skip("only with --secrets FOLDER, the passwords of the services");
        var secrets = new AccessSecrets(folder);
        var problems = new List<Problem>();
        foreach (var service in target.Keyspace.Services)
            problems.AddRange(await LogInAsync(target, service, secrets, cancellationToken).ConfigureAwait(false));
        return CheckOutcome.Of($"{Words.Count(target.Keyspace.Services.Count, "service", "services")} logged in", problems);
    }

    private static async Task<IReadOnlyList<Problem>> LogInAsync(
        VerifyTarget target,
        string service,
        AccessSecrets secrets,
        CancellationToken cancellationToken
    )
    {
        var where = $"user {service}";
        RedisClient client;
        try
        {
            client = await target.ConnectAsAsync(service, secrets.PasswordOf(service), cancellationToken).ConfigureAwait(false);
        }
        catch (Exception problem) when (problem is RedisException or ToolException)
        {
            return [new Problem($"{service} cannot log in: {problem.Message}", "Run: onggi acl apply --secrets FOLDER.", Where: where)];
        }

        await using (client.ConfigureAwait(false))
        {
            var foreign = target.Keyspace.Families.FirstOrDefault(family =>
                !AccessPlan.Writes(family, service) && !AccessPlan.Reads(family, service)
            );
            var key = foreign is null ? "onggi-verify:nobodys" : AccessMatrix.KeyOf(foreign);
            try
            {
                await client.GetAsync(key, cancellationToken).ConfigureAwait(false);
                return [new Problem($"{service} was not refused GET {key}.", "Run: onggi acl apply.", Where: where)];
            }
            catch (RedisServerException refusal) when (refusal.Code == "NOPERM")
            {
                return [];
            }
        }
    }

    private static async Task<CheckOutcome> HaveNoOthersAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        var users = await target.UsersAsync(cancellationToken).ConfigureAwait(false);
        var known = AccessPlan.Of(target.Keyspace, replicated: true).Select(user => user.Name).ToHashSet(StringComparer.Ordinal);
        var problems = users
            .Where(user => user.IsOn && user.Name != AccessUser.Default && user.NeedsNoPassword)
            .Select(user => new Problem(
                $"{user.Name} needs no password.",
                $"Run: onggi acl rotate {user.Name}, or take it away: ACL DELUSER {user.Name}.",
                Where: $"user {user.Name}"
            ))
            .ToList();
        // A catalog without services has users of which it knows nothing.
        if (target.Keyspace.Services.Count > 0)
            problems.AddRange(
                users
                    .Where(user => user.IsOn && !known.Contains(user.Name) && !user.NeedsNoPassword)
                    .Select(user => new Problem(
                        $"{user.Name} is not in the catalog{(user.MayEverything ? ", and may do everything" : "")}.",
                        $"Name the service in the catalog, or take the user away: ACL DELUSER {user.Name}.",
                        IsWarning: !user.MayEverything,
                        Where: $"user {user.Name}"
                    ))
            );
        return CheckOutcome.Of($"{users.Count(user => user.IsOn)} users that are on", problems);
    }

    private static async Task<CheckOutcome> KeepNamesAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        RedisArg[] command = ["COMMAND", "INFO", .. MustKeepTheirNames.Select(name => (RedisArg)name)];
        var reply = await target.Client.ExecuteAsync(command, cancellationToken).ConfigureAwait(false);
        var renamed = MustKeepTheirNames.Where((_, i) => i < reply.Items.Count && reply.Items[i].IsNull).ToList();
        return renamed.Count == 0
            ? CheckOutcome.Ok("all of them")
            : CheckOutcome.Of(
                $"{string.Join(", ", renamed)} lacking",
                new Problem(
                    $"{string.Join(", ", renamed)} {(renamed.Count == 1 ? "has" : "have")} another name, or none.",
                    "Remove rename-command, and take the right away by ACL: onggi acl file."
                )
            );
    }

    private static async Task<CheckOutcome> NoteRefusalsAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        var config = await target.ConfigAsync(cancellationToken).ConfigureAwait(false);
        var length = config.GetValueOrDefault("acllog-max-len", "128");
        return length == "0"
            ? CheckOutcome.Of(
                "acllog-max-len 0",
                new Problem("refused accesses are not noted.", "Write: acllog-max-len 512", IsWarning: true)
            )
            : CheckOutcome.Ok($"the last {length}");
    }
}
