using System.CommandLine;
using Onggi.Cli.Output;

namespace Onggi.Cli.Commands;

/// <summary><c>onggi deploy</c>: what is written for a cluster, from the catalog, and what is wrong with it.</summary>
internal static class DeployCommands
{
    public static Command Create(ToolOutput output) =>
        new("deploy", "Manifests, rules and dashboards from the catalog; and what is wrong with given ones.")
        {
            DeployLintCommand.Create(output),
            DeployPinCommand.Create(output),
            DeployFilesCommand.Create(output),
            DeploySecretsCommand.Create(output),
            DeployMonitoringCommand.Create(output),
        };
}
