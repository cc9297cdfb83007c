using System.CommandLine;
using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using Onggi.Cli.Operations;
using Onggi.Cli.Output;
using Onggi.Client;
using Onggi.Events;
using Onggi.Keys;
using Onggi.Sessions;
using Spectre.Console;

namespace Onggi.Cli.Commands;

/// <summary><c>onggi sessions list|revoke</c>: where somebody is signed in.</summary>
internal static class SessionsCommand
{
    private const string Reason = "operator";

    public static Command Create(ToolOutput output) => new("sessions", "Who is signed in.") { List(output), Revoke(output) };

    private static Command List(ToolOutput output)
    {
        var inputs = new SharedInputs();
        var json = Inputs.Json();
        var command = new Command("list", "Shows where a user is signed in: devices, since when, last seen, and when each session ends.")
        {
            inputs.User,
            inputs.Redis,
            inputs.Catalog,
            inputs.Environment,
            inputs.Family,
            json,
        };
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var session = await OpenAsync(parsed, inputs, output, cancellationToken).ConfigureAwait(false);
                await using (session.ConfigureAwait(false))
                {
                    var list = await session
                        .Sessions.ListAsync(parsed.GetRequiredValue(inputs.User), cancellationToken)
                        .ConfigureAwait(false);
                    if (parsed.GetValue(json))
                        WriteJson(list, output);
                    else
                        Write(list, output);
                    return OnggiTool.Ok;
                }
            }
        );
        return command;
    }

    private static Command Revoke(ToolOutput output)
    {
        var inputs = new SharedInputs();
        var handle = new Option<string?>("--session")
        {
            Description = "Only this one, as list shows it; otherwise all of the user's.",
            HelpName = "HANDLE",
        };
        var yes = Inputs.Yes("Signs out");
        var json = Inputs.Json();
        var command = new Command(
            "revoke",
            "Signs a user out, everywhere or of one session, and tells the services. Access tokens that were given out are good until they end."
        )
        {
            inputs.User,
            handle,
            inputs.Redis,
            inputs.Catalog,
            inputs.Environment,
            inputs.Family,
            yes,
            json,
        };
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var session = await OpenAsync(parsed, inputs, output, cancellationToken).ConfigureAwait(false);
                await using (session.ConfigureAwait(false))
                {
                    var (user, only) = (parsed.GetRequiredValue(inputs.User), parsed.GetValue(handle));
                    var question =
                        $"{session.Client.Options}: {Words.Key(user)} will be signed out {(only is null ? "everywhere" : $"of session {Words.Key(only)}")}.";
                    if (!parsed.GetValue(yes))
                        await output
                            .NeedYesAsync(question, "revoke", "--yes", "nobody was signed out", cancellationToken)
                            .ConfigureAwait(false);
                    var revoked = only is null
                        ? await session.Sessions.RevokeAllAsync(user, Reason, cancellationToken).ConfigureAwait(false)
                        : await session.Sessions.RevokeAsync(user, only, Reason, cancellationToken).ConfigureAwait(false);
                    if (parsed.GetValue(json))
                        output.Json(writer =>
                        {
                            writer.WriteStartObject();
                            writer.WriteNumber("revoked", revoked.Count);
                            writer.WriteEndObject();
                        });
                    else
                        output.Text.WriteLine(
                            revoked.Count == 0
                                ? "There was no such session."
                                : $"{Words.Count(revoked.Count, "session", "sessions")} ended."
                        );
                    return OnggiTool.Ok;
                }
            }
        );
        return command;
    }

    private static async Task<Opened> OpenAsync(
        ParseResult parsed,
        SharedInputs inputs,
        ToolOutput output,
        CancellationToken cancellationToken
    )
    {
        // Under whose name a user's sessions stand is a hash: where persons are hashed with a secret, nobody finds them without it.
        var keyspace = Inputs.NeedKeyspaceWithSecret(parsed.GetValue(inputs.Catalog), parsed.GetValue(inputs.Environment));
        var options = new SessionOptions { Family = parsed.GetValue(inputs.Family), Sweep = false };
        var missing = SessionsOfFamily.Choose(keyspace, options, out var family);
        if (family is null)
            throw new ToolException(missing.Replace("Sessions:Family", "--family", StringComparison.Ordinal));
        var client = await Inputs.ConnectAsync(parsed.GetValue(inputs.Redis), cancellationToken).ConfigureAwait(false);
        return new Opened(client, keyspace, options, output.Time);
    }

    private static void Write(IReadOnlyList<SessionSummary> list, ToolOutput output)
    {
        if (list.Count == 0)
        {
            output.Text.WriteLine("Not signed in anywhere.");
            return;
        }

        var table = ToolOutput.Table("session", "device", "since", "last seen", "ends");
        foreach (var session in list)
            table.AddRow(
                new Text(session.Handle),
                new Text(Words.Key(session.Device)),
                new Text(At(session.CreatedAt)),
                new Text(At(session.LastSeenAt)),
                new Text(At(session.ExpiresAt))
            );
        output.Console.Write(table);
        output.Text.WriteLine(Words.Count(list.Count, "session.", "sessions."));
    }

    private static void WriteJson(IReadOnlyList<SessionSummary> list, ToolOutput output) =>
        output.Json(json =>
        {
            json.WriteStartArray();
            foreach (var session in list)
            {
                json.WriteStartObject();
                json.WriteString("session", session.Handle);
                json.WriteString("device", session.Device);
                json.WriteString("createdAt", session.CreatedAt);
                json.WriteString("lastSeenAt", session.LastSeenAt);
                json.WriteString("expiresAt", session.ExpiresAt);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        });

    private static string At(DateTimeOffset time) => time.ToString("u", CultureInfo.InvariantCulture);

    private sealed class SharedInputs
    {
        public Argument<string> User { get; } =
            new Argument<string>("USER") { Description = "Whose, as the services name the user." }.NoOption();

        public Option<string?> Redis { get; } = Inputs.Redis();

        public Option<string?> Catalog { get; } = Inputs.Catalog("It is needed here.");

        public Option<string?> Environment { get; } = Inputs.Environment();

        public Option<string?> Family { get; } =
            new("--family", "-f") { Description = "The family of sessions, where the catalog has several.", HelpName = "NAME" };
    }

    /// <summary>The block of sessions, as a service has it, without the parts that work by themselves.</summary>
    private sealed class Opened : IAsyncDisposable
    {
        private readonly ToolMeters _meters = new();
        private readonly OnggiEvents _events;

        public Opened(RedisClient client, Keyspace keyspace, SessionOptions options, TimeProvider time)
        {
            Client = client;
            _events = ToolEvents.Create(client, keyspace, _meters, time);
            Sessions = new OnggiSessions(client, keyspace, options, _events, _meters, NullLogger<OnggiSessions>.Instance, time);
        }

        public RedisClient Client { get; }

        public OnggiSessions Sessions { get; }

        public async ValueTask DisposeAsync()
        {
            // In this order: what the sessions still have to tell goes out through the events.
            await Sessions.DisposeAsync().ConfigureAwait(false);
            await _events.DisposeAsync().ConfigureAwait(false);
            await Client.DisposeAsync().ConfigureAwait(false);
            _meters.Dispose();
        }
    }
}
