using Onggi.Cli.Access;
using Onggi.Cli.Commands;
using Onggi.Cli.Configuration;

namespace Onggi.Cli.Verification;

/// <summary>What can be judged from files, before there is a server.</summary>
internal static class FileChecks
{
    private const string Category = "files";

    public static IEnumerable<VerifyCheck> All() =>
        [
            new(
                "ONG062",
                Category,
                "The catalog says all that is needed",
                "services and a limit of memory",
                "Rights, alerts and shares are reckoned from it: what it does not say nobody holds.",
                CheckSource.Files,
                CatalogIsWholeAsync
            ),
            new(
                "ONG030–ONG051",
                Category,
                "redis.conf does no harm",
                "what onggi conf show writes for this catalog",
                "",
                CheckSource.Files,
                ConfIsSoundAsync
            )
            {
                Item = "4 the limit of memory",
            },
            new(
                "ONG060",
                Category,
                "The file of users lets nobody in unasked",
                "the default user off, digests for passwords, none without one",
                "Whoever reads the file, a backup of it or the repository, or nobody but reaches the port, is let in.",
                CheckSource.Files,
                UsersAreSafeAsync
            )
            {
                Item = "3 passwords",
            },
            new(
                "ONG061",
                Category,
                "The file of users is the catalog's",
                "the users, keys and channels that onggi acl show says",
                "After the next restart a service can do too little, or too much.",
                CheckSource.Files,
                UsersAreTheCatalogsAsync
            )
            {
                Item = "3 passwords",
            },
        ];

    private static Task<CheckOutcome> CatalogIsWholeAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        var keyspace = target.Keyspace;
        var problems = new List<Problem>();
        var file = target.Settings.CatalogFile;
        if (keyspace.Services.Count == 0)
            problems.Add(new Problem("it names no services.", "Write them under \"services\".", IsWarning: true, Where: file));
        if (keyspace.MemoryLimit is null)
            problems.Add(
                new Problem("it has no limit of memory.", "Write: \"memory\": { \"limit\": \"512mb\" }", IsWarning: true, Where: file)
            );
        return Task.FromResult(
            CheckOutcome.Of(
                $"{Words.Count(keyspace.Families.Count, "family", "families")}, {Words.Count(keyspace.Services.Count, "service", "services")}, {Words.Count(keyspace.Events.Count, "event", "events")}",
                problems
            )
        );
    }

    private static Task<CheckOutcome> ConfIsSoundAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        if (target.Settings.ConfFile is not { } file)
            return Task.FromResult(CheckOutcome.Skip("no redis.conf here; --conf names it"));
        var lint = new ConfLint(target.Keyspace, target.Settings.IsProduction, target.Settings.Instances);
        var conf = ConfFile.Parse(file, Inputs.Read(file, "Name the redis.conf."));
        return Task.FromResult(
            CheckOutcome.Of(
                $"{file}: {Words.Count(conf.Lines.Count, "line", "lines")}",
                [
                    .. lint.Check(conf)
                        .Select(finding => new Problem(
                            finding.What,
                            finding.Fix,
                            finding.IsWarning,
                            finding.Where,
                            finding.Code,
                            finding.Why
                        )),
                ]
            )
        );
    }

    private static Task<CheckOutcome> UsersAreSafeAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        if (target.Settings.AclFile is not { } file)
            return Task.FromResult(CheckOutcome.Skip("no users.acl here; --acl names it"));
        var users = UsersOf(file);
        var problems = new List<Problem>();
        if (users.TrueForAll(user => user.Name != AccessUser.Default))
            problems.Add(
                new Problem("there is no line for the default user, so it is on and needs no password.", "Run: onggi acl file", Where: file)
            );
        foreach (var user in users)
        {
            var where = $"{file}:{user.Line}";
            if (user is { Name: AccessUser.Default, IsOn: true })
                problems.Add(new Problem("the default user is on.", "Write: user default off, as onggi acl file does.", Where: where));
            else if (user is { IsOn: true, NeedsNoPassword: true })
                problems.Add(
                    new Problem($"{user.Name} needs no password.", "Remove nopass, and write a digest: onggi acl file", Where: where)
                );
            else if (user is { IsOn: true, HasPassword: false })
                problems.Add(
                    new Problem(
                        $"{user.Name} is on and has no password: it cannot log in.",
                        "Write a digest: onggi acl file",
                        IsWarning: true,
                        Where: where
                    )
                );
            if (user.HasPlainPassword)
                problems.Add(
                    new Problem(
                        $"the password of {user.Name} stands there in plain sight.",
                        "Write its digest, #<SHA-256>, and change it: onggi acl rotate.",
                        Where: where
                    )
                );
        }

        return Task.FromResult(CheckOutcome.Of($"{file}: {Words.Count(users.Count, "user", "users")}", problems));
    }

    private static Task<CheckOutcome> UsersAreTheCatalogsAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        if (target.Settings.AclFile is not { } file)
            return Task.FromResult(CheckOutcome.Skip("no users.acl here; --acl names it"));
        if (target.Keyspace.Services.Count == 0)
            return Task.FromResult(CheckOutcome.Skip("the catalog names no services"));
        var users = UsersOf(file);
        var wanted = AccessPlan
            .Of(target.Keyspace, replicated: true)
            .Select(user => (user.Name, Keys: AclUser.Parse(user.Line([]), 0)!.Keys))
            .ToDictionary(user => user.Name, user => user.Keys, StringComparer.Ordinal);
        var problems = new List<Problem>();
        var lacking = target.Keyspace.Services.Where(service => users.TrueForAll(user => user.Name != service || !user.IsOn)).ToList();
        if (lacking.Count > 0)
            problems.Add(new Problem($"there is no user {string.Join(", ", lacking)} that is on.", "Run: onggi acl file", Where: file));
        foreach (var user in users.Where(user => user.IsOn))
            problems.AddRange(Compare(file, user, wanted.GetValueOrDefault(user.Name)));
        return Task.FromResult(CheckOutcome.Of($"{file}: {Words.Count(users.Count, "user", "users")}", problems));
    }

    private static IEnumerable<Problem> Compare(string file, AclUser user, IReadOnlySet<string>? wanted)
    {
        var where = $"{file}:{user.Line}";
        if (wanted is null)
        {
            yield return new Problem(
                $"{user.Name} is not in the catalog.",
                "Name the service in the catalog, or remove the line.",
                IsWarning: !user.MayEverything,
                Where: where
            );
            yield break;
        }

        var many = user.Keys.Except(wanted).Order(StringComparer.Ordinal).ToList();
        var few = wanted.Except(user.Keys).Order(StringComparer.Ordinal).ToList();
        if (user.MayEverything && !wanted.Contains("~*"))
            yield return new Problem($"{user.Name} may do everything.", "Run: onggi acl file", Where: where);
        else if (many.Count > 0)
            yield return new Problem(
                $"{user.Name} has {string.Join(' ', many)}, which the catalog does not give it.",
                "Run: onggi acl file",
                Where: where
            );
        if (few.Count > 0 && !user.Keys.Contains("~*"))
            yield return new Problem($"{user.Name} lacks {string.Join(' ', few)}.", "Run: onggi acl file", Where: where);
    }

    private static List<AclUser> UsersOf(string file) =>
        [
            .. Inputs
                .Read(file, "Name the file of users: onggi acl file makes it.")
                .Split('\n')
                .Select((line, i) => AclUser.Parse(line, i + 1))
                .OfType<AclUser>(),
        ];
}
