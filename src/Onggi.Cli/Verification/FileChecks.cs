using Onggi.Cli.Commands;
using Onggi.Cli.Configuration;
using Onggi.Cli.Deployment.Lint;

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
                AclFile.UnsafeWhy,
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
                AclFile.ForeignWhy,
                CheckSource.Files,
                UsersAreTheCatalogsAsync
            )
            {
                Item = "3 passwords",
            },
            new(
                "ONG101–ONG194",
                Category,
                "Manifests mean what was wanted",
                "manifests in which onggi deploy lint finds nothing",
                "",
                CheckSource.Files,
                ManifestsAgreeAsync
            )
            {
                Item = "8 the network",
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
        return Task.FromResult(CheckOutcome.Of($"{file}: {Words.Count(users.Count, "user", "users")}", [.. AclFile.Unsafe(file, users)]));
    }

    private static Task<CheckOutcome> UsersAreTheCatalogsAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        if (target.Settings.AclFile is not { } file)
            return Task.FromResult(CheckOutcome.Skip("no users.acl here; --acl names it"));
        if (target.Keyspace.Services.Count == 0)
            return Task.FromResult(CheckOutcome.Skip("the catalog names no services"));
        var users = UsersOf(file);
        return Task.FromResult(
            CheckOutcome.Of($"{file}: {Words.Count(users.Count, "user", "users")}", [.. AclFile.Foreign(file, users, target.Keyspace)])
        );
    }

    private static Task<CheckOutcome> ManifestsAgreeAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        if (target.Settings.Manifests.Count == 0)
            return Task.FromResult(CheckOutcome.Skip("only with --manifests PATH: what kubectl kustomize writes"));
        var objects = ManifestReader.Read(
            target.Settings.Manifests,
            target.Output.Input,
            note => target.Output.Error.WriteLine($"onggi: {note}")
        );
        var findings = ManifestLint.Check(
            new LintContext(new Manifests(objects)) { Keyspace = target.Keyspace, IsProduction = target.Settings.IsProduction }
        );
        return Task.FromResult(
            CheckOutcome.Of(
                Words.Count(objects.Count, "object", "objects"),
                [
                    .. findings
                        .Select(finding => finding.AsFinding())
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

    private static IReadOnlyList<AclUser> UsersOf(string file) =>
        AclFile.Parse(Inputs.Read(file, "Name the file of users: onggi acl file makes it."));
}
