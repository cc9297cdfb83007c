using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using Onggi.Cli.Commands;
using Onggi.Cli.Output;
using Onggi.Client;
using Onggi.Keys;

namespace Onggi.Cli;

/// <summary>The <c>onggi</c> command: what it knows, and what its exit codes say.</summary>
/// <remarks>0: done, all well. 1: done, and something is wrong with what was looked at. 2: it was not done: it could not be, or a question was answered by no. 130: stopped by Ctrl-C.</remarks>
internal static class OnggiTool
{
    public const int Ok = 0;
    public const int Wrong = 1;
    public const int Failed = 2;
    public const int Stopped = 130;

    /// <summary>Runs one command line and gives its exit code.</summary>
    /// <param name="args">The command line without the program's name.</param>
    /// <param name="output">The result.</param>
    /// <param name="error">Everything that is not the result.</param>
    /// <param name="input">Answers to questions; <c>null</c> for the terminal, if there is one.</param>
    /// <param name="cancellationToken">Stops it, as Ctrl-C does.</param>
    public static async Task<int> RunAsync(
        string[] args,
        TextWriter output,
        TextWriter error,
        TextReader? input = null,
        CancellationToken cancellationToken = default
    )
    {
        var parsed = Root(new ToolOutput(output, error, input)).Parse(args.Length == 0 ? ["--help"] : args);
        if (parsed.Action is ParseErrorAction)
        {
            foreach (var line in WrongCommandLine.Describe(parsed))
                await error.WriteLineAsync($"onggi: {line}").ConfigureAwait(false);
            await error.WriteLineAsync($"Try: {NameOf(parsed.CommandResult.Command)} --help").ConfigureAwait(false);
            return Failed;
        }

        var invocation = new InvocationConfiguration
        {
            Output = output,
            Error = error,
            EnableDefaultExceptionHandler = false,
            ProcessTerminationTimeout = TimeSpan.FromSeconds(2),
        };
        try
        {
            return await parsed.InvokeAsync(invocation, cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            await error.WriteLineAsync("onggi: stopped.").ConfigureAwait(false);
            return Stopped;
        }
        catch (RedisServerException refused) when (refused.Code == "NOPERM")
        {
            await error
                .WriteLineAsync($"onggi: {refused.Message}. Log in as the operator: onggi acl show says what it may.")
                .ConfigureAwait(false);
            return Failed;
        }
        catch (Exception problem)
            when (problem is ToolException or CatalogException or RedisException or IOException or UnauthorizedAccessException)
        {
            await error.WriteLineAsync($"onggi: {problem.Message}").ConfigureAwait(false);
            return Failed;
        }
    }

    /// <summary>All commands.</summary>
    public static Command Root(ToolOutput output) =>
        new(
            "onggi",
            "Looks after a team's shared Redis: its catalog of keys, and what is in it.\n\n"
                + "Exit codes: 0 all well; 1 something is wrong with what was looked at; 2 it was not done: it could not be, or the answer was no; 130 stopped by Ctrl-C."
        )
        {
            new HelpOption(),
            new VersionOption(),
            CatalogCommands.Create(output),
            StatusCommand.Create(output),
            KeysCommand.Create(output),
            PingCommand.Create(output),
            AclCommands.Create(output),
            ConfCommands.Create(output),
            DeployCommands.Create(output),
            MigrateCommands.Create(output),
            VerifyCommand.Create(output),
            AuditCommand.Create(output),
            GetCommand.Create(output),
            GetCommand.CreateTtl(output),
            ClientsCommand.Create(output),
            SlowlogCommand.Create(output),
            EventsCommand.Create(output),
            SessionsCommand.Create(output),
            LocksCommand.Create(output),
            LimitsCommand.Create(output),
            CacheCommand.Create(output),
            WarmCommand.Create(output),
            DeleteCommand.Create(output),
            UndeleteCommand.Create(output),
            BackupCommands.Create(output),
            RestoreCommand.Create(output),
        };

    private static string NameOf(Command command)
    {
        var parent = command.Parents.OfType<Command>().FirstOrDefault();
        return parent is null ? command.Name : $"{NameOf(parent)} {command.Name}";
    }
}

/// <summary>What was asked for cannot be done; the message says why and what to do.</summary>
/// <param name="message">All of that.</param>
internal class ToolException(string message) : Exception(message);
