using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Onggi.Client;
using Onggi.ServerTests.Client;
using Onggi.ServerTests.Client.Cluster;
using Onggi.Sessions;
using Onggi.Testing;

namespace Onggi.ServerTests.Sessions;

public sealed record Cart(string[] Lines);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(Cart))]
public sealed partial class SessionTestJson : JsonSerializerContext;

/// <summary>What sessions do, wherever they are kept.</summary>
public abstract class SessionContract
{
    protected abstract string ConnectionString { get; }

    [Fact]
    public async Task A_session_has_what_it_was_begun_with()
    {
        await using var node = await SessionNode.QuietAsync(ConnectionString);
        var cart = JsonSerializer.SerializeToUtf8Bytes(new Cart(["소금", "|,"]), SessionTestJson.Default.Cart);

        var made = await node.Sessions.CreateAsync(
            "사용자 1|2,3",
            new SessionDetails
            {
                Roles = ["user", "\"admin\""],
                Device = "Firefox, Linux | 집",
                Data = cart,
            }
        );
        var session = (await node.Sessions.ValidateAsync(made.Id))!;

        Assert.True(made.IsCreated);
        Assert.Equal("사용자 1|2,3", session.User);
        Assert.Equal(["user", "\"admin\""], session.Roles);
        Assert.Equal("Firefox, Linux | 집", session.Device);
        Assert.Equal(["소금", "|,"], session.ReadData(SessionTestJson.Default.Cart)!.Lines);
        Assert.Equal(1, session.Version);
        Assert.Equal(made.Handle, session.Handle);
        Assert.Equal(made.ExpiresAt, session.ExpiresAt);
        Assert.Equal(session.CreatedAt + TimeSpan.FromMinutes(30), session.ExpiresAt);
        Assert.Equal(session.CreatedAt, session.LastSeenAt);
        Assert.False(session.IsSuperseded);
        var bare = (await node.Sessions.ValidateAsync(made.Id, withData: false))!;
        Assert.Equal(session.User, bare.User);
        Assert.Empty(bare.Roles);
        Assert.True(bare.Data.IsEmpty);
    }

    [Fact]
    public async Task A_handle_opens_its_own_users_session_and_harms_nobody_elses()
    {
        await using var node = await SessionNode.QuietAsync(ConnectionString, static options => options.TouchEvery = TimeSpan.Zero);
        var keys = node.Keyspace.Keys;
        // Of a neighbour the keys lie in the same slot, of a stranger elsewhere.
        var neighbour = Enumerable
            .Range(0, 100_000)
            .Select(static number => $"neighbour {number}")
            .First(one => keys.PseudonymOf(one)[0] == keys.PseudonymOf("owner")[0]);
        var made = await node.Sessions.CreateAsync("owner", new SessionDetails { Roles = ["user"], Data = "cart"u8.ToArray() });

        var session = (await node.Sessions.ValidateAsync("owner", made.Handle))!;
        Assert.Equal((made.Handle, "owner", 4), (session.Handle, session.User, session.Data.Length));
        foreach (var thief in (string[])[neighbour, "stranger"])
            Assert.Null(await node.Sessions.ValidateAsync(thief, made.Handle));
        foreach (var wrong in (string[])["", "x", made.Handle[..^1], made.Handle + "A", $"{made.Handle[..^1]}}}", made.Id.Reveal()])
            Assert.Null(await node.Sessions.ValidateAsync("owner", wrong));

        Assert.Equal(4, (await node.Sessions.ValidateAsync(made.Id))!.Data.Length);
        await node.Sessions.RevokeAsync(made.Id);
        Assert.Null(await node.Sessions.ValidateAsync("owner", made.Handle));
    }

    [Fact]
    public async Task A_save_counts_up_and_the_slower_of_two_is_told()
    {
        await using var node = await SessionNode.QuietAsync(ConnectionString);
        var made = await node.Sessions.CreateAsync(NewUser());

        var first = await node.Sessions.SaveAsync(made.Id, 1, "first"u8.ToArray(), ["admin"]);
        var second = await node.Sessions.SaveAsync(made.Id, 1, "second"u8.ToArray());
        var forced = await node.Sessions.SaveAsync(made.Id, 0, "forced"u8.ToArray());

        Assert.Equal(new SessionSave(SessionSaveOutcome.Saved, 2), first);
        Assert.Equal(new SessionSave(SessionSaveOutcome.Conflict, 2), second);
        Assert.Equal(new SessionSave(SessionSaveOutcome.Saved, 3), forced);
        var session = (await node.Sessions.ValidateAsync(made.Id))!;
        Assert.Equal("forced", Encoding.UTF8.GetString(session.Data.Span));
        Assert.Equal(["admin"], session.Roles);
    }

    [Fact]
    public Task A_late_save_or_touch_never_brings_a_session_back() => SessionPromises.LateSavesDoNotReviveAsync(ConnectionString);

    [Fact]
    public Task What_the_index_does_not_know_is_dead() => SessionPromises.WhatTheIndexDoesNotKnowIsDeadAsync(ConnectionString);

    [Fact]
    public Task An_id_that_was_replaced_opens_the_session_for_the_overlap_only() => SessionPromises.OldIdsEndAsync(ConnectionString);

    [Fact]
    public Task Keys_end_by_themselves_name_nobody_and_stand_in_one_slot() => SessionPromises.KeysAreTidyAsync(ConnectionString);

    [Theory]
    [InlineData(SessionLimitPolicy.Reject)]
    [InlineData(SessionLimitPolicy.Oldest)]
    [InlineData(SessionLimitPolicy.LeastRecent)]
    public async Task Of_200_logins_of_one_user_by_4_clients_exactly_5_live_and_the_naive_way_lets_in_more(SessionLimitPolicy policy)
    {
        await SessionPromises.LimitHoldsAsync(ConnectionString, policy);

        // Whether two count at the same time is chance: not every time, but soon.
        var naive = 0L;
        for (var tries = 0; naive <= 5 && tries < 20; tries++)
            naive = await SessionPromises.NaiveLimitAsync(ConnectionString);
        Assert.True(naive > 5, "The naive way held twenty times: this test would not notice.");
    }

    [Fact]
    public Task Of_200_logins_of_one_user_by_4_processes_exactly_5_live() =>
        SessionPromises.LimitHoldsForProcessesAsync(ConnectionString, SessionLimitPolicy.LeastRecent);

    [Fact]
    public Task Of_200_logins_of_one_user_by_4_processes_exactly_5_are_let_in() =>
        SessionPromises.LimitHoldsForProcessesAsync(ConnectionString, SessionLimitPolicy.Reject);

    [Fact]
    public async Task The_policy_chooses_who_goes()
    {
        await using var node = await SessionNode.QuietAsync(ConnectionString, options => options.TouchEvery = TimeSpan.Zero);
        var (oldest, recent) = (NewUser(), NewUser());
        foreach (
            var (user, policy) in ((string, SessionLimitPolicy)[])
                [(oldest, SessionLimitPolicy.Oldest), (recent, SessionLimitPolicy.LeastRecent)]
        )
        {
            var details = new SessionDetails { Limit = new SessionLimit(2, policy) };
            var first = await node.Sessions.CreateAsync(user, details);
            await LaterAsync(node, first.Id);
            var second = await node.Sessions.CreateAsync(user, details);
            await LaterAsync(node, second.Id);
            var seen = (await node.Sessions.ValidateAsync(second.Id))!.LastSeenAt;
            await Until.TrueAsync(
                async () => (await node.Sessions.ValidateAsync(first.Id))!.LastSeenAt > seen,
                "the first was used after the second"
            );

            var third = await node.Sessions.CreateAsync(user, details);

            var gone = policy == SessionLimitPolicy.Oldest ? first : second;
            Assert.Equal([gone.Handle], third.Evicted);
            Assert.Equal(2, third.Live);
            Assert.Null(await node.Sessions.ValidateAsync(gone.Id));
        }

        var full = new SessionDetails { Limit = new SessionLimit(2, SessionLimitPolicy.Reject) };
        var refused = await node.Sessions.CreateAsync(oldest, full);
        Assert.False(refused.IsCreated);
        Assert.True(refused.Id.IsEmpty);
        Assert.Equal(2, refused.Live);
        Assert.Contains(node.Log, line => line.Id == 6006);
    }

    [Fact]
    public async Task A_user_sees_all_sessions_and_ends_one_the_others_or_all()
    {
        await using var node = await SessionNode.QuietAsync(ConnectionString);
        var user = NewUser();
        var made = new List<SessionCreation>();
        for (var i = 0; i < 5; i++)
            made.Add(await node.Sessions.CreateAsync(user, new SessionDetails { Device = $"device {i}" }));
        var stranger = await node.Sessions.CreateAsync(NewUser());

        var list = await node.Sessions.ListAsync(user);
        Assert.Equal(made.Select(one => one.Handle).Order(), list.Select(one => one.Handle).Order());
        Assert.Equal("device 3", list.Single(one => one.Handle == made[3].Handle).Device);

        Assert.Equal([made[0].Handle], (await node.Sessions.RevokeAsync(user, made[0].Handle)).Handles);
        Assert.Empty((await node.Sessions.RevokeAsync(user, made[0].Handle)).Handles);
        Assert.Empty((await node.Sessions.RevokeAsync(user, stranger.Handle)).Handles);
        Assert.Empty((await node.Sessions.RevokeAsync(user, "no handle")).Handles);
        Assert.Equal([made[1].Handle], (await node.Sessions.RevokeAsync(made[1].Id)).Handles);
        Assert.Equal(2, (await node.Sessions.RevokeOthersAsync(made[2].Id)).Count);
        Assert.Equal([made[2].Handle], (await node.Sessions.ListAsync(user)).Select(one => one.Handle));
        Assert.Equal(0, (await node.Sessions.RevokeOthersAsync(made[0].Id)).Count);
        Assert.Equal(1, (await node.Sessions.RevokeAllAsync(user)).Count);
        foreach (var one in made)
            Assert.Null(await node.Sessions.ValidateAsync(one.Id));
        Assert.NotNull(await node.Sessions.ValidateAsync(stranger.Id));
        await Until.TrueAsync(
            async () => !await node.Redis.ExistsAsync(node.SessionKey(made[3].Handle)),
            "the keys of what was ended are removed"
        );
    }

    [Fact]
    public async Task A_thousand_sessions_of_one_user_end_in_one_call()
    {
        await using var node = await SessionNode.QuietAsync(ConnectionString);
        var user = NewUser();
        var made = await Task.WhenAll(Enumerable.Range(0, 1001).Select(_ => node.Sessions.CreateAsync(user, Unlimited).AsTask()));

        Assert.Equal(1000, (await node.Sessions.RevokeOthersAsync(made[0].Id)).Count);

        Assert.Equal([made[0].Handle], (await node.Sessions.ListAsync(user)).Select(one => one.Handle));
    }

    [Fact]
    public async Task A_replaced_id_keeps_the_life_of_the_session_and_signs_it_out()
    {
        await using var node = await SessionNode.QuietAsync(ConnectionString);
        var user = NewUser();
        var made = await node.Sessions.CreateAsync(user, new SessionDetails { Roles = ["user"], Device = "phone" });

        var rotated = await node.Sessions.RotateAsync(made.Id);

        var before = (await node.Sessions.ValidateAsync(made.Id))!;
        var after = (await node.Sessions.ValidateAsync(rotated.Id))!;
        Assert.Equal(before.CreatedAt, after.CreatedAt);
        Assert.Equal(("phone", user, 1), (after.Device, after.User, (await node.Sessions.ListAsync(user)).Count));
        Assert.Equal([rotated.Handle], (await node.Sessions.RevokeAsync(made.Id)).Handles);
        Assert.Null(await node.Sessions.ValidateAsync(rotated.Id));
        Assert.Null(await node.Sessions.ValidateAsync(made.Id));
        var at = await node.Sessions.CreateAsync(user);
        var login = await node.Sessions.RotateAsync(at.Id, TimeSpan.Zero);
        Assert.Null(await node.Sessions.ValidateAsync(at.Id));
        Assert.NotNull(await node.Sessions.ValidateAsync(login.Id));
    }

    [Fact]
    public async Task An_id_that_was_replaced_twice_is_still_the_sessions_for_its_own_overlap()
    {
        await using var node = await SessionNode.QuietAsync(ConnectionString);
        var user = NewUser();
        var bystander = await node.Sessions.CreateAsync(user);
        var first = await node.Sessions.CreateAsync(user, new SessionDetails { Data = "data"u8.ToArray() });
        var second = await node.Sessions.RotateAsync(first.Id, TimeSpan.FromMinutes(1));
        var third = await node.Sessions.RotateAsync(second.Id, TimeSpan.FromSeconds(2));

        foreach (var old in (SessionId[])[first.Id, second.Id])
        {
            Assert.True((await node.Sessions.ValidateAsync(old))!.IsSuperseded);
            Assert.Equal(SessionSaveOutcome.Superseded, (await node.Sessions.SaveAsync(old, 0, "late"u8.ToArray())).Outcome);
            Assert.True((await node.Sessions.RotateAsync(old)) is { IsRotated: false, IsSuperseded: true });
        }

        // Each for its own overlap, whatever becomes of the other.
        await Until.TrueAsync(async () => await node.Sessions.ValidateAsync(second.Id) is null, "the second id opens nothing any more");
        Assert.True((await node.Sessions.ValidateAsync(first.Id))!.IsSuperseded);
        Assert.Equal([bystander.Handle], (await node.Sessions.RevokeOthersAsync(first.Id)).Handles);
        Assert.Equal([third.Handle], (await node.Sessions.RevokeAsync(first.Id)).Handles);
        foreach (var id in (SessionId[])[first.Id, second.Id, third.Id])
            Assert.Null(await node.Sessions.ValidateAsync(id));
    }

    [Fact]
    public async Task A_rotation_without_overlap_ends_the_overlaps_before_it()
    {
        await using var node = await SessionNode.QuietAsync(ConnectionString);
        var first = await node.Sessions.CreateAsync(NewUser());
        var second = await node.Sessions.RotateAsync(first.Id, TimeSpan.FromMinutes(1));
        var third = await node.Sessions.RotateAsync(second.Id, TimeSpan.Zero);

        foreach (var old in (SessionId[])[first.Id, second.Id])
        {
            Assert.Null(await node.Sessions.ValidateAsync(old));
            Assert.Empty((await node.Sessions.RevokeAsync(old)).Handles);
        }

        Assert.NotNull(await node.Sessions.ValidateAsync(third.Id));
    }

    [Fact]
    public async Task Use_lengthens_the_life_once_in_a_while_and_never_beyond_the_whole()
    {
        await using var node = await SessionNode.QuietAsync(
            ConnectionString,
            options =>
            {
                options.TouchEvery = TimeSpan.FromMilliseconds(200);
                options.AbsoluteForTests = TimeSpan.FromMinutes(30) + TimeSpan.FromMilliseconds(300);
            }
        );
        var made = await node.Sessions.CreateAsync(NewUser());
        var first = (await node.Sessions.ValidateAsync(made.Id))!;
        Assert.Equal(made.ExpiresAt, first.ExpiresAt);

        Session? later = null;
        await Until.TrueAsync(
            async () =>
                (later = await node.Sessions.ValidateAsync(made.Id))!.LastSeenAt
                >= made.ExpiresAt - TimeSpan.FromMinutes(30) + TimeSpan.FromMilliseconds(400),
            "the session was seen twice"
        );

        Assert.Equal(first.CreatedAt + TimeSpan.FromMinutes(30) + TimeSpan.FromMilliseconds(300), later!.ExpiresAt);
    }

    [Fact]
    public async Task An_id_in_any_other_spelling_is_another_id()
    {
        await using var node = await SessionNode.QuietAsync(ConnectionString);
        var random = Seed.For(nameof(An_id_in_any_other_spelling_is_another_id));
        var user = NewUser();
        var made = await node.Sessions.CreateAsync(user);
        var other = await node.Sessions.CreateAsync(NewUser());
        var text = made.Id.Reveal();
        var tampered = new List<string>
        {
            text[..SessionId.PartitionLength] + other.Id.Reveal()[SessionId.PartitionLength..],
            other.Id.Reveal()[..SessionId.PartitionLength] + text[SessionId.PartitionLength..],
            text.ToUpperInvariant(),
            made.Handle.PadLeft(text.Length, 'A'),
        };
        for (var at = 0; at < text.Length; at++)
        {
            var letters = text.ToCharArray();
            letters[at] = letters[at] == 'A' ? (char)('B' + random.Next(20)) : 'A';
            tampered.Add(new string(letters));
        }

        foreach (var one in tampered)
        {
            Assert.True(SessionId.TryParse(one, out var id), one);
            Assert.Null(await node.Sessions.ValidateAsync(id));
            Assert.Empty((await node.Sessions.RevokeAsync(id)).Handles);
            Assert.Empty((await node.Sessions.RevokeOthersAsync(id)).Handles);
            Assert.False((await node.Sessions.RotateAsync(id)).IsRotated);
            Assert.Equal(SessionSaveOutcome.Gone, (await node.Sessions.SaveAsync(id, 0, "x"u8.ToArray())).Outcome);
        }

        Assert.NotNull(await node.Sessions.ValidateAsync(made.Id));
        Assert.DoesNotContain(node.Log, line => line.Text.Contains(text[SessionId.PartitionLength..], StringComparison.Ordinal));
    }

    [Fact]
    public async Task Another_service_sees_the_sessions_and_sweeps_none()
    {
        await using var node = await SessionNode.QuietAsync(ConnectionString);
        await using var orders = await SessionNode.StartAsync(ConnectionString, host: options => options.Service = "orders");
        var made = await node.Sessions.CreateAsync("u1");

        Assert.Equal("u1", (await orders.Sessions.ValidateAsync(made.Id))!.User);
        Assert.Null(orders.Sessions.Live);
    }

    protected static SessionDetails Unlimited { get; } = new() { Limit = new SessionLimit(0) };

    protected static string NewUser() => $"user-{Guid.NewGuid()}";

    // Redis counts in milliseconds: what happens later must have a later one.
    private static Task LaterAsync(SessionNode node, SessionId id) =>
        Until.TrueAsync(
            async () => await node.Sessions.ValidateAsync(id) is { } seen && seen.LastSeenAt > seen.CreatedAt.AddMilliseconds(1),
            "time goes on"
        );
}

/// <summary>The contract on one redis-server.</summary>
public sealed class SessionOnRedisTests(RedisServerFixture fixture) : SessionContract, IClassFixture<RedisServerFixture>
{
    protected override string ConnectionString => fixture.Server.ConnectionString;
}

/// <summary>The contract on three primaries with a replica each.</summary>
public sealed class SessionOnClusterTests(RedisClusterFixture fixture) : SessionContract, IClassFixture<RedisClusterFixture>
{
    protected override string ConnectionString => fixture.Cluster.ConnectionString;
}
