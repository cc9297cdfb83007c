using System.CommandLine;
using Onggi.Cli.Checks;
using Onggi.Cli.Configuration;
using Onggi.Cli.Output;
using Onggi.Keys;

namespace Onggi.Cli.Commands;

/// <summary><c>onggi conf</c>: redis.conf from the catalog, and what is wrong with a given one.</summary>
internal static class ConfCommands
{
    private const int InstancesPerService = 2;
    private const long DefaultMemory = 512L << 20;

    public static Command Create(ToolOutput output) =>
        new("conf", "redis.conf from the catalog, every line with its reason; and what is wrong with a given one.")
        {
            Show(output),
            Lint(output),
        };

    private static Command Show(ToolOutput output)
    {
        var (catalog, environment, production, instances) = Shared();
        var tier = new Option<ConfTier>("--tier")
        {
            Description =
                "What this Redis holds: all, cache (what can be loaded again) or state (sessions, tokens, locks, limits, streams).",
            HelpName = "TIER",
        };
        var directory = new Option<string>("--dir")
        {
            Description = "Where Redis writes.",
            HelpName = "FOLDER",
            DefaultValueFactory = _ => "/data",
        };
        var acl = new Option<string?>("--aclfile")
        {
            Description = "The file of users; users.acl in the folder of --dir otherwise.",
            HelpName = "FILE",
        };
        var tls = new Option<string?>("--tls")
        {
            Description = "The folder with ca.crt, tls.crt and tls.key. No TLS otherwise.",
            HelpName = "FOLDER",
        };
        var port = new Option<int>("--port")
        {
            Description = "The port.",
            HelpName = "NUMBER",
            DefaultValueFactory = _ => 6379,
        };
        Inputs.Bound(port, 1, 65535);
        var bind = new Option<string>("--bind")
        {
            Description = "Where to listen.",
            HelpName = "ADDRESSES",
            DefaultValueFactory = _ => "* -::*",
        };
        var replicated = new Option<bool>("--replicated") { Description = "There are replicas." };
        var command = new Command("show", "Writes a redis.conf to standard output.")
        {
            catalog,
            environment,
            production,
            tier,
            instances,
            directory,
            acl,
            tls,
            port,
            bind,
            replicated,
        };
        command.SetAction(parsed =>
        {
            var keyspace = Inputs.NeedKeyspace(parsed.GetValue(catalog), parsed.GetValue(environment));
            var terms = new ConfTerms(
                parsed.GetValue(production),
                parsed.GetValue(tier),
                keyspace.MemoryLimit ?? DefaultMemory,
                InstancesOf(parsed.GetValue(instances), keyspace),
                parsed.GetRequiredValue(directory),
                parsed.GetValue(acl),
                parsed.GetValue(port),
                parsed.GetRequiredValue(bind),
                parsed.GetValue(tls),
                parsed.GetValue(replicated)
            );
            output.Text.Write(ConfPlan.Text(keyspace, terms));
            return OnggiTool.Ok;
        });
        return command;
    }

    private static Command Lint(ToolOutput output)
    {
        var (catalog, environment, production, instances) = Shared();
        var file = new Argument<string>("FILE") { Description = "The redis.conf.", DefaultValueFactory = _ => "redis.conf" };
        var json = Inputs.Json();
        var command = new Command(
            "lint",
            "Says what is wrong with a redis.conf, why, and what to write instead. Exit code 1 when it finds more than warnings."
        )
        {
            file,
            catalog,
            environment,
            production,
            instances,
            json,
        };
        command.SetAction(parsed =>
        {
            var name = parsed.GetRequiredValue(file);
            var keyspace = Inputs.FindKeyspace(parsed.GetValue(catalog), parsed.GetValue(environment));
            var lint = new ConfLint(keyspace, parsed.GetValue(production), InstancesOf(parsed.GetValue(instances), keyspace));
            var findings = lint.Check(ConfFile.Parse(name, Inputs.Read(name, "Name the redis.conf.")));
            if (parsed.GetValue(json))
                FindingWriter.WriteJson(findings, output);
            else
                FindingWriter.Write(findings, name, output);
            return findings.All(finding => finding.IsWarning) ? OnggiTool.Ok : OnggiTool.Wrong;
        });
        return command;
    }

    private static (Option<string?> Catalog, Option<string?> Environment, Option<bool> Production, Option<int?> Instances) Shared() =>
        (
            Inputs.Catalog("Without one, memory and kinds of keys are not known."),
            Inputs.Environment(),
            new Option<bool>("--production") { Description = "For what must survive a restart; for development otherwise." },
            new Option<int?>("--instances")
            {
                Description = $"How many processes of services connect; {InstancesPerService} for each service of the catalog otherwise.",
                HelpName = "COUNT",
            }
        );

    private static int InstancesOf(int? given, Keyspace? keyspace) =>
        given switch
        {
            < 1 => throw new ToolException($"--instances is 1 or more, not {given}."),
            { } count => count,
            null => InstancesPerService * Math.Max(1, keyspace?.Services.Count ?? 1),
        };
}
