using System.Diagnostics;
using System.Text;
using Onggi.Client;
using Onggi.Client.Routing.Cluster;
using Onggi.ServerTests.Caching;
using Onggi.ServerTests.Client;
using Onggi.Sessions;
using Onggi.Testing;

namespace Onggi.ServerTests.Sessions;

/// <summary>What must hold of sessions, one method each, so that the same check that passes on the code as it is fails on a mutant of it.</summary>
internal static class SessionPromises
{
    public static readonly SessionLimit Five = new(5, SessionLimitPolicy.LeastRecent);

    /// <summary>Many logins of one user at once, by several processes' clients: exactly as many live as may.</summary>
    public static async Task LimitHoldsAsync(string connectionString, SessionLimitPolicy policy, int clients = 4, int logins = 200)
    {
        var nodes = await Task.WhenAll(Enumerable.Range(0, clients).Select(_ => SessionNode.QuietAsync(connectionString)));
        var user = $"limited-{policy}-{Guid.NewGuid()}";
        var details = new SessionDetails { Limit = new SessionLimit(5, policy) };
        var made = await Task.WhenAll(
                Enumerable.Range(0, logins).Select(i => Task.Run(async () => await nodes[i % clients].Sessions.CreateAsync(user, details)))
            )
            .Within();

        var live = 0;
        foreach (var creation in made.Where(one => one.IsCreated))
            live += await nodes[0].Sessions.ValidateAsync(creation.Id) is null ? 0 : 1;
        var listed = await nodes[0].Sessions.ListAsync(user);
        foreach (var node in nodes)
            await node.DisposeAsync();

        Assert.Equal(5, live);
        Assert.Equal(5, listed.Count);
        Assert.Equal(policy == SessionLimitPolicy.Reject ? 5 : logins, made.Count(one => one.IsCreated));
    }

    /// <summary>The same with processes of their own, which share nothing but Redis.</summary>
    public static async Task LimitHoldsForProcessesAsync(
        string connectionString,
        SessionLimitPolicy policy,
        int processes = 4,
        int logins = 200
    )
    {
        var user = $"limited-{policy}-{Guid.NewGuid()}";
        await using var node = await SessionNode.QuietAsync(connectionString);
        var workers = Enumerable
            .Range(0, processes)
            .Select(_ =>
                Process.Start(
                    new ProcessStartInfo(
                        "dotnet",
                        [CoherenceRun.Bench(), "session-logins", connectionString, user, $"{policy}", $"{logins / processes}"]
                    )
                    {
                        UseShellExecute = false,
                        RedirectStandardInput = true,
                        RedirectStandardOutput = true,
                    }
                )!
            )
            .ToList();
        foreach (var worker in workers)
            Assert.Equal("ready", await worker.StandardOutput.ReadLineAsync().Within());
        foreach (var worker in workers)
            await worker.StandardInput.WriteLineAsync("go");
        var answers = await Task.WhenAll(workers.Select(worker => worker.StandardOutput.ReadToEndAsync())).Within();
        foreach (var worker in workers)
        {
            await worker.WaitForExitAsync().Within();
            Assert.Equal(0, worker.ExitCode);
            worker.Dispose();
        }

        var made = answers
            .SelectMany(answer => answer.Split('\n', StringSplitOptions.RemoveEmptyEntries))
            .Where(line => line != "done")
            .ToList();
        var live = 0;
        foreach (var text in made)
        {
            Assert.True(SessionId.TryParse(text, out var id));
            live += await node.Sessions.ValidateAsync(id) is null ? 0 : 1;
        }

        Assert.Equal(5, live);
        Assert.Equal(5, (await node.Sessions.ListAsync(user)).Count);
        Assert.Equal(policy == SessionLimitPolicy.Reject ? 5 : logins, made.Count);
    }

    /// <summary>The way it is usually done: count, then add. It lets in whoever counted at the same time.</summary>
    public static async Task<long> NaiveLimitAsync(string connectionString, int clients = 4, int logins = 200)
    {
        var redis = await Task.WhenAll(Enumerable.Range(0, clients).Select(_ => RedisClient.ConnectAsync(connectionString).AsTask()));
        var key = $"naive:{Guid.NewGuid()}";
        await Task.WhenAll(
                Enumerable
                    .Range(0, logins)
                    .Select(i =>
                        Task.Run(async () =>
                        {
                            var client = redis[i % clients];
                            if (await client.SendAsync(["ZCARD", key], ReplyParsers.Int64) < 5)
                                await client.SendAsync(["ZADD", key, i, $"session-{i}"], ReplyParsers.Int64);
                        })
                    )
            )
            .Within();
        var live = await redis[0].SendAsync(["ZCARD", key], ReplyParsers.Int64);
        await redis[0].UnlinkAsync([key]);
        foreach (var client in redis)
            await client.DisposeAsync();
        return live;
    }

    /// <summary>A request that began before the sign-out ends after it.</summary>
    public static async Task LateSavesDoNotReviveAsync(string connectionString)
    {
        await using var node = await SessionNode.QuietAsync(connectionString, options => options.TouchEvery = TimeSpan.Zero);
        var user = $"late-{Guid.NewGuid()}";
        var made = await node.Sessions.CreateAsync(user, new SessionDetails { Data = "before"u8.ToArray() });
        var read = (await node.Sessions.ValidateAsync(made.Id))!;

        Assert.Equal(1, (await node.Sessions.RevokeAsync(made.Id)).Count);

        Assert.Equal(SessionSaveOutcome.Gone, (await node.Sessions.SaveAsync(made.Id, read.Version, "after"u8.ToArray())).Outcome);
        Assert.Equal(SessionSaveOutcome.Gone, (await node.Sessions.SaveAsync(made.Id, 0, "after"u8.ToArray())).Outcome);
        Assert.False(await node.Redis.ExistsAsync(node.SessionKey(made.Handle)));
        Assert.Null(await node.Sessions.ValidateAsync(made.Id));
        Assert.False((await node.Sessions.RotateAsync(made.Id)).IsRotated);
        Assert.Empty(await node.Sessions.ListAsync(user));
        Assert.False(await node.Redis.ExistsAsync(node.SessionKey(made.Handle)));
    }

    /// <summary>Of all sessions at once only the index is told; their own keys stand a moment longer, and must open nothing.</summary>
    public static async Task WhatTheIndexDoesNotKnowIsDeadAsync(string connectionString)
    {
        await using var node = await SessionNode.QuietAsync(connectionString, options => options.TouchEvery = TimeSpan.Zero);
        node.Sessions.Family.Outbox.IsDeadForTests = true; // Nobody removes the keys afterwards.
        var user = $"all-{Guid.NewGuid()}";
        var made = await node.Sessions.CreateAsync(user);

        Assert.Equal([made.Handle], (await node.Sessions.RevokeAllAsync(user)).Handles);

        Assert.True(await node.Redis.ExistsAsync(node.SessionKey(made.Handle)));
        Assert.Null(await node.Sessions.ValidateAsync(made.Id));
        Assert.Null(await node.Sessions.ValidateAsync(made.Id));
        Assert.Empty(await node.Sessions.ListAsync(user));
    }

    /// <summary>An id that was replaced opens the session for the overlap, and no longer.</summary>
    public static async Task OldIdsEndAsync(string connectionString, TimeSpan? bound = null)
    {
        await using var node = await SessionNode.QuietAsync(connectionString);
        var made = await node.Sessions.CreateAsync($"rotating-{Guid.NewGuid()}", new SessionDetails { Data = "data"u8.ToArray() });

        var rotated = await node.Sessions.RotateAsync(made.Id, TimeSpan.FromSeconds(2));

        Assert.True(rotated.IsRotated);
        Assert.NotEqual(made.Id, rotated.Id);
        var old = (await node.Sessions.ValidateAsync(made.Id))!;
        Assert.True(old.IsSuperseded);
        Assert.Equal("data", Encoding.UTF8.GetString(old.Data.Span));
        Assert.Equal(SessionSaveOutcome.Superseded, (await node.Sessions.SaveAsync(made.Id, 0, "late"u8.ToArray())).Outcome);
        Assert.True((await node.Sessions.RotateAsync(made.Id)) is { IsRotated: false, IsSuperseded: true });
        Assert.False((await node.Sessions.ValidateAsync(rotated.Id))!.IsSuperseded);
        await Until.TrueAsync(async () => await node.Sessions.ValidateAsync(made.Id) is null, "the old id opens nothing any more", bound);
        Assert.NotNull(await node.Sessions.ValidateAsync(rotated.Id));
    }

    /// <summary>Whatever sessions leave in Redis ends by itself, says nothing of people in its name, and cannot be used to sign in.</summary>
    public static async Task KeysAreTidyAsync(string connectionString)
    {
        await using var node = await SessionNode.StartAsync(connectionString, options => options.Sweep = false);
        const string User = "minsu.kim@example.com";
        var first = await node.Sessions.CreateAsync(User, new SessionDetails { Device = "Firefox on Linux", Roles = ["user"] });
        var second = await node.Sessions.CreateAsync(User);
        await node.Sessions.CreateAsync(User);
        var rotated = await node.Sessions.RotateAsync(second.Id);
        await node.Sessions.RevokeAsync(User, first.Handle);

        foreach (var key in (await node.KeysAsync()).Where(key => key.Contains("test:", StringComparison.Ordinal)))
        {
            Assert.DoesNotContain("minsu", key, StringComparison.OrdinalIgnoreCase);
            foreach (var id in (SessionId[])[first.Id, second.Id, rotated.Id])
                Assert.DoesNotContain(id.Reveal()[SessionId.PartitionLength..], key, StringComparison.Ordinal);
            if (key.Contains("events:head", StringComparison.Ordinal) || key.Contains("onggi:", StringComparison.Ordinal))
                continue;
            // -1: no end; -2: gone already.
            Assert.True(await node.Redis.SendAsync(["PTTL", key], ReplyParsers.Int64) != -1, $"{key} never ends.");
            Assert.Equal("session", node.Keyspace.Keys.FamilyOf(key)?.Family.Name);
        }

        var names = node.Sessions.Family.Keys.Of(rotated.Id);
        Assert.Single(
            new[] { names.Session, names.Index, names.Meta, names.Shard.Due, (ReadOnlyMemory<byte>)names.Shard.Out }
                .Select(name => HashSlot.Of(name.Span))
                .Distinct()
        );
    }
}
