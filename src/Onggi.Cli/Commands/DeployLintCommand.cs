using System.CommandLine;
using Onggi.Cli.Checks;
using Onggi.Cli.Deployment.Lint;
using Onggi.Cli.Deployment.Lint.Rules;
using Onggi.Cli.Output;

namespace Onggi.Cli.Commands;

/// <summary><c>onggi deploy lint</c>: what is wrong with manifests, taken together.</summary>
internal static class DeployLintCommand
{
    public static Command Create(ToolOutput output)
    {
        var options = new Options();
        var command = new Command(
            "lint",
            "Says what is wrong with manifests, taken together with the redis.conf and the clients' settings in them, and with the catalog: what a schema cannot see. "
                + "Each finding says where, what was expected, why it matters and what to write.\n\n"
                + "Exit code 0: nothing but warnings. 1: findings. 2: something cannot be read."
        );
        command.Arguments.Add(options.Paths);
        foreach (var option in options.All)
            command.Options.Add(option);
        command.SetAction(parsed => Run(parsed, options, output));
        return command;
    }

    private static int Run(ParseResult parsed, Options options, ToolOutput output)
    {
        var format = parsed.GetValue(options.Json) ? LintFormat.Json : parsed.GetValue(options.Format);
        if (parsed.GetValue(options.List))
        {
            LintWriter.WriteList([.. SettingsRules.Listed, .. LintRules.All], format == LintFormat.Json, output);
            return OnggiTool.Ok;
        }

        var paths = parsed.GetValue(options.Paths) ?? [];
        if (paths.Length == 0)
            throw new ToolException("name a folder, files, or - for what kubectl kustomize writes.");
        var suppressions = Suppressions.Find(parsed.GetValue(options.SuppressionFile));
        var context = Context(parsed, options, paths, output);
        if (parsed.GetValue(options.Matrix))
        {
            var ways = context.Reachability.Ways;
            MatrixWriter.Write(ways, format == LintFormat.Json, output);
            return ways.Any(way => way.IsBroken || way.IsUnwanted) ? OnggiTool.Wrong : OnggiTool.Ok;
        }

        var today = DateOnly.FromDateTime(output.Time.GetUtcNow().UtcDateTime);
        var found = ManifestLint.Check(context);
        var left = found.Where(finding => !suppressions.Covers(finding.AsFinding(), today)).ToList();
        IReadOnlyList<Finding> expired = [.. suppressions.Expired(today)];
        LintWriter.Write(left, expired, found.Count - left.Count, format, Subject(context.Manifests), output);
        return expired.Count == 0 && left.TrueForAll(finding => finding.IsWarning) ? OnggiTool.Ok : OnggiTool.Wrong;
    }

    private static LintContext Context(ParseResult parsed, Options options, string[] paths, ToolOutput output)
    {
        var users = parsed.GetValue(options.Users);
        var objects = ManifestReader.Read(paths, output.Input, note => output.Error.WriteLine($"onggi: {note}"));
        return new LintContext(new Manifests(objects))
        {
            Keyspace = Inputs.FindKeyspace(parsed.GetValue(options.Catalog), parsed.GetValue(options.Environment)),
            IsProduction = parsed.GetValue(options.Production),
            MadeElsewhere = parsed.GetValue(options.External) ?? [],
            Users = users is null ? null : (users, Inputs.Read(users, "Name the file of users: onggi acl file makes it.")),
        };
    }

    private static string Subject(Manifests manifests) =>
        $"{Words.Count(manifests.Objects.Count, "object", "objects")} of {string.Join(", ", manifests.Objects.Select(found => found.Namespace).Distinct().Order(StringComparer.Ordinal))}";

    private sealed class Options
    {
        public Argument<string[]> Paths { get; } =
            new Argument<string[]>("PATH")
            {
                Description = "Folders or files of manifests; - for standard input: kubectl kustomize FOLDER | onggi deploy lint -",
                Arity = ArgumentArity.ZeroOrMore,
            }.NoOption();

        public Option<string?> Catalog { get; } = Inputs.Catalog("Without one, users, memory and kinds of keys are not known.");

        public Option<string?> Environment { get; } = Inputs.Environment();

        public Option<bool> Production { get; } =
            new("--production") { Description = "For what must survive a restart: what is a warning in development is a finding." };

        public Option<string[]> External { get; } =
            new("--external")
            {
                Description =
                    "What is made elsewhere, and is not missing here: NAME, or KIND/NAME, or with a star at its end. Secrets of onggi deploy secrets are known. May be given several times.",
                HelpName = "NAME",
            };

        public Option<string?> Users { get; } = new("--acl") { Description = "A file of users that is looked at, too.", HelpName = "FILE" };

        public Option<bool> Matrix { get; } =
            new("--matrix") { Description = "Prints who reaches whom on which port, by the network policies, instead of the findings." };

        public Option<string?> SuppressionFile { get; } =
            new("--suppressions")
            {
                Description = $"What is lived with: codes with a reason and an end. {Suppressions.DefaultFile} of this folder otherwise.",
                HelpName = "FILE",
            };

        public Option<bool> List { get; } = new("--list-checks") { Description = "Lists the checks and looks at nothing." };

        public Option<LintFormat> Format { get; } = new("--output", "-o") { Description = "table, short or json.", HelpName = "FORMAT" };

        public Option<bool> Json { get; } = Inputs.Json();

        public IEnumerable<Option> All => [Catalog, Environment, Production, External, Users, Matrix, SuppressionFile, List, Format, Json];
    }
}
