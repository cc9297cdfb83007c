using System.CommandLine;
using Onggi.Cli.Deployment.Files;
using Onggi.Cli.Output;

namespace Onggi.Cli.Commands;

/// <summary><c>onggi deploy files</c>: what Redis and the Sentinels are started with.</summary>
internal static class DeployFilesCommand
{
    private const int InstancesPerService = 2;

    public static Command Create(ToolOutput output)
    {
        var catalog = Inputs.Catalog("It is needed here.");
        var environment = Inputs.Environment();
        var folder = new Option<string>("--out", "-o")
        {
            Description = "The folder to write into; files of these names are replaced.",
            HelpName = "FOLDER",
            Required = true,
        };
        var single = new Option<bool>("--single")
        {
            Description = "For one Redis that keeps nothing: redis.conf alone. That is so for the catalog's default environment anyway.",
        };
        var instances = new Option<int?>("--instances")
        {
            Description = $"How many processes of services connect; {InstancesPerService} for each service of the catalog otherwise.",
            HelpName = "COUNT",
        };
        var check = new Option<bool>("--check")
        {
            Description = "Writes nothing: exit code 1 when a file there is not what the catalog says.",
        };
        var command = new Command(
            "files",
            "Writes redis.conf, sentinel.conf and the scripts that start and stop them: for the default environment of the catalog one Redis in memory; for any other a replicated set with TLS, persistence and Sentinels. There is nothing secret in them."
        )
        {
            catalog,
            environment,
            folder,
            single,
            instances,
            check,
        };
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var keyspace = Inputs.NeedKeyspace(parsed.GetValue(catalog), parsed.GetValue(environment));
                var isReplicated = !parsed.GetValue(single) && IsReplicated(parsed.GetValue(catalog), keyspace.Environment);
                var processes = parsed.GetValue(instances) ?? (InstancesPerService * Math.Max(1, keyspace.Services.Count));
                if (processes < 1)
                    throw new ToolException($"--instances is 1 or more, not {processes}.");
                var files = DeployFiles.Of(keyspace, isReplicated, processes);
                var where = parsed.GetRequiredValue(folder);
                return parsed.GetValue(check)
                    ? await CheckAsync(files, where, output, cancellationToken).ConfigureAwait(false)
                    : await WriteAsync(files, where, output, cancellationToken).ConfigureAwait(false);
            }
        );
        return command;
    }

    /// <summary>Whether an environment has replicas: all but the catalog's default one, which is for development.</summary>
    public static bool IsReplicated(string? catalog, string environment) =>
        Inputs.NeedKeyspace(catalog, environment: null).Environment != environment;

    private static async Task<int> WriteAsync(
        IReadOnlyList<DeployFile> files,
        string folder,
        ToolOutput output,
        CancellationToken cancellationToken
    )
    {
        Directory.CreateDirectory(folder);
        foreach (var file in files)
            await File.WriteAllTextAsync(Path.Combine(folder, file.Name), file.Text, cancellationToken).ConfigureAwait(false);
        output.Text.WriteLine($"{folder}: {string.Join(", ", files.Select(file => file.Name))}.");
        return OnggiTool.Ok;
    }

    private static async Task<int> CheckAsync(
        IReadOnlyList<DeployFile> files,
        string folder,
        ToolOutput output,
        CancellationToken cancellationToken
    )
    {
        var isSame = true;
        foreach (var file in files)
        {
            var path = Path.Combine(folder, file.Name);
            var found = File.Exists(path) ? await File.ReadAllTextAsync(path, cancellationToken).ConfigureAwait(false) : null;
            if (found == file.Text)
                continue;
            isSame = false;
            output.Text.WriteLine($"{path} {(found is null ? "is missing" : "differs from what the catalog says")}.");
        }

        output.Text.WriteLine(isSame ? $"{folder} is what the catalog says." : $"To write it anew: {DeployFiles.MadeBy} without --check.");
        return isSame ? OnggiTool.Ok : OnggiTool.Wrong;
    }
}
