using Onggi.Client;
using Onggi.Migration;

namespace Onggi.Cli.Migration;

/// <summary>The right to run a migration, and its epoch: both are keys of the new side, written over one connection.</summary>
/// <remarks>
/// One run holds the right. A later one of the same state takes it over and ends the connections of the earlier one, which does not make new ones for writing: a run that was asleep
/// cannot write old values over new ones when it wakes.
/// </remarks>
internal sealed class MigrationControl : IAsyncDisposable
{
    private static readonly TimeSpan Held = TimeSpan.FromSeconds(60);

    private readonly RedisLease _connection;
    private readonly MigrationRules _rules;
    private readonly string _token;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private Task _renewing = Task.CompletedTask;

    private MigrationControl(RedisLease connection, MigrationRules rules, string token, TimeProvider time) =>
        (_connection, _rules, _token, _time) = (connection, rules, token, time);

    /// <summary>What the epoch was when it was last read or written.</summary>
    public MigrationEpoch Epoch { get; private set; }

    /// <summary>No epoch is below: where the server has lost its keys, services still know the number they have seen, and heed no smaller one.</summary>
    public long Floor { get; set; }

    /// <summary>Takes the right to run, and reads the epoch.</summary>
    /// <param name="rules">Which migration.</param>
    /// <param name="keeper">The server of the new side.</param>
    /// <param name="others">All servers, on which connections of earlier runs are ended.</param>
    /// <param name="token">Whose state this is.</param>
    /// <param name="ownName">The name of this run's connections.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="ToolException">A run of another state holds it.</exception>
    public static async Task<MigrationControl> TakeAsync(
        MigrationRules rules,
        RedisClient keeper,
        IEnumerable<RedisClient> others,
        string token,
        string ownName,
        TimeProvider time,
        CancellationToken cancellationToken
    )
    {
        var holder = await keeper.GetStringAsync(rules.RunKey, cancellationToken).ConfigureAwait(false);
        if (holder is not null && holder != token)
            throw new ToolException(
                $"another run of \"{rules.Name}\" holds {rules.RunKey}. If it was killed, its right ends within {Held.TotalSeconds:0} s; go on with its state file, not with a new one."
            );
        foreach (var server in others)
            await EndEarlierAsync(server, rules, ownName, cancellationToken).ConfigureAwait(false);
        var control = new MigrationControl(await keeper.LeaseAsync(cancellationToken).ConfigureAwait(false), rules, token, time);
        try
        {
            await control.RenewAsync(cancellationToken).ConfigureAwait(false);
            await control.ReadEpochAsync(cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            await control.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        control._renewing = control.KeepAsync();
        return control;
    }

    /// <summary>Reads the epoch anew.</summary>
    public async Task<MigrationEpoch> ReadEpochAsync(CancellationToken cancellationToken) =>
        Epoch = Parse(
            _rules,
            await _connection.SendAsync(["GET", _rules.EpochKey], ReplyParsers.Text, cancellationToken).ConfigureAwait(false)
        );

    /// <summary>Reads what stands in the key of the epoch.</summary>
    /// <exception cref="ToolException">It is none.</exception>
    public static MigrationEpoch Parse(MigrationRules rules, string? text)
    {
        try
        {
            return MigrationEpoch.Parse(text);
        }
        catch (FormatException problem)
        {
            throw new ToolException($"{rules.EpochKey}: {problem.Message}");
        }
    }

    /// <summary>Goes on to a phase; nothing happens where it is that already.</summary>
    public async Task EnterAsync(MigrationPhase phase, CancellationToken cancellationToken)
    {
        if (Epoch.Phase == phase && Epoch.Number > 0)
            return;
        var next = new MigrationEpoch(Math.Max(Epoch.Number, Floor) + 1, phase);
        await _connection
            .SendAsync(["SET", _rules.EpochKey, next.ToString()], ReplyParsers.Ignore, cancellationToken)
            .ConfigureAwait(false);
        Epoch = next;
    }

    /// <summary>The same on the way out, where nothing more can be done about it.</summary>
    public async Task TryEnterAsync(MigrationPhase phase)
    {
        try
        {
            await EnterAsync(phase, CancellationToken.None).ConfigureAwait(false);
        }
        catch (RedisException)
        {
            // The connection is over: what ended the run says so.
        }
    }

    /// <summary>Does nothing where this run still has the right.</summary>
    /// <exception cref="RedisException">A later run has taken it over.</exception>
    public async Task CheckAsync(CancellationToken cancellationToken) =>
        await _connection.SendAsync(["PING"], ReplyParsers.Ignore, cancellationToken).ConfigureAwait(false);

    /// <summary>A connection to write with, which ends for good when a later run takes over.</summary>
    /// <exception cref="RedisException">That has happened.</exception>
    public async Task<Pipeline> OpenAsync(RedisClient client, CancellationToken cancellationToken)
    {
        var pipeline = await Pipeline.OpenAsync(client, _time, cancellationToken).ConfigureAwait(false);
        try
        {
            // Made before a take-over, it is ended by it; made after it, this connection has been.
            await CheckAsync(cancellationToken).ConfigureAwait(false);
            return pipeline;
        }
        catch
        {
            await pipeline.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Gives the right to run back.</summary>
    public async Task ReleaseAsync(CancellationToken cancellationToken) =>
        await _connection.SendAsync(["DEL", _rules.RunKey], ReplyParsers.Int64, cancellationToken).ConfigureAwait(false);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _renewing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _connection.DisposeAsync().ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task RenewAsync(CancellationToken cancellationToken) =>
        await _connection
            .SendAsync(["SET", _rules.RunKey, _token, "PX", (long)Held.TotalMilliseconds], ReplyParsers.Ignore, cancellationToken)
            .ConfigureAwait(false);

    private async Task KeepAsync()
    {
        using var timer = new PeriodicTimer(Held / 4, _time);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token).ConfigureAwait(false))
                await RenewAsync(_stop.Token).ConfigureAwait(false);
        }
        catch (Exception problem) when (problem is RedisException or OperationCanceledException)
        {
            // The connection is over: whatever the run writes next says so.
        }
    }

    // Twice: one may be made while the others are ended, and is found then; one made later finds that its run has lost the right.
    private static async Task EndEarlierAsync(RedisClient server, MigrationRules rules, string ownName, CancellationToken cancellationToken)
    {
        for (var round = 0; round < 2; round++)
        {
            var list = await server.SendAsync(["CLIENT", "LIST"], ReplyParsers.Text, cancellationToken).ConfigureAwait(false) ?? "";
            foreach (var fields in list.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(' ')))
            {
                var name = Field(fields, "name=");
                if (name == ownName || !MigrationServers.IsNameOf(rules, name))
                    continue;
                await server
                    .SendAsync(["CLIENT", "KILL", "ID", Field(fields, "id=")], ReplyParsers.Int64, cancellationToken)
                    .ConfigureAwait(false);
            }
        }
    }

    private static string Field(string[] fields, string name) =>
        fields.FirstOrDefault(field => field.StartsWith(name, StringComparison.Ordinal))?[name.Length..] ?? "";
}
