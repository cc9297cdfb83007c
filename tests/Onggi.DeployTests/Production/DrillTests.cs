using Xunit.Abstractions;

namespace Onggi.DeployTests.Production;

/// <summary>The failures of the high-availability page, on the very files of the overlay; in full, with figures: <c>./bench drills</c>.</summary>
[Collection(ProductionSetTests.Name)]
public sealed class DrillTests(ProductionSetFixture fixture, ITestOutputHelper output)
{
    // What a Sentinel waits, elects and tells, twice over: the machine may be slow.
    private static readonly TimeSpan Failover = TimeSpan.FromSeconds(20);

    private ReplicatedSet Set => fixture.Set;

    [Fact]
    public async Task A_killed_primary_is_replaced_and_comes_back_as_a_replica()
    {
        var old = await Set.PrimaryAsync();

        var outcome = Told(await Drills.KillAsync(Set, WriteMode.Wait));

        Assert.Equal("slave", await Set.RoleAsync(old));
        Assert.True(outcome.Outage < Failover, $"{outcome}");
        Assert.Equal(0, outcome.Lost);
    }

    [Fact]
    public async Task A_primary_that_is_started_again_at_once_has_all_that_it_had_confirmed()
    {
        var old = await Set.PrimaryAsync();

        var outcome = Told(await Drills.RestartAsync(Set));

        // On a machine that is busy beyond measure another one was chosen meanwhile, and what was not copied yet is lost: that is the other drill.
        if (await Set.PrimaryAsync() == old)
            Assert.Equal(0, outcome.Lost);
        Assert.True(outcome.Outage < Failover, $"{outcome}");
    }

    [Fact]
    public async Task A_primary_that_comes_back_with_an_empty_disk_does_not_make_the_others_empty()
    {
        var old = await Set.PrimaryAsync();

        var outcome = Told(await Drills.LoseDiskAsync(Set));

        Assert.NotEqual(old, await Set.PrimaryAsync());
        // What had been confirmed in the last moment and not copied.
        Assert.True(outcome.LostOver < TimeSpan.FromSeconds(1), $"{outcome}");
    }

    [Fact]
    public async Task A_primary_that_hangs_is_replaced_and_goes_on_as_a_replica()
    {
        var old = await Set.PrimaryAsync();

        var outcome = Told(await Drills.HangAsync(Set, WriteMode.Wait));

        Assert.Equal("slave", await Set.RoleAsync(old));
        Assert.True(outcome.Outage < Failover, $"{outcome}");
        Assert.Equal(0, outcome.Lost);
    }

    [Fact]
    public async Task A_primary_that_is_to_be_stopped_hands_over_and_nothing_is_lost()
    {
        var outcome = Told(await Drills.HandOverAsync(Set));

        Assert.Equal(0, outcome.Lost);
        Assert.True(outcome.Outage < Failover, $"{outcome}");
    }

    [Fact]
    public async Task A_primary_that_is_cut_off_confirms_no_writes_for_longer_than_it_was_told()
    {
        var outcome = Told(await Drills.CutOffAsync(Set));

        // min-replicas-max-lag is 5 s, replicas are counted once a second.
        Assert.True(outcome.LostOver < TimeSpan.FromSeconds(9), $"{outcome}");
        Assert.Contains("NOREPLICAS", outcome.Refused);
    }

    [Fact]
    public async Task A_replica_that_is_cut_off_is_missed_by_nobody_who_writes()
    {
        var primary = await Set.PrimaryAsync();

        var outcome = Told(await Drills.CutReplicaOffAsync(Set));

        Assert.Equal(primary, await Set.PrimaryAsync());
        Assert.Equal(0, outcome.Lost);
        Assert.DoesNotContain("NOREPLICAS", outcome.Refused);
        Assert.True(outcome.Outage < Failover, $"{outcome}");
    }

    [Fact]
    public async Task A_primary_without_replicas_refuses_and_loses_nothing()
    {
        var outcome = Told(await Drills.LoneAsync(Set));

        Assert.Equal(0, outcome.Lost);
        Assert.Contains("NOREPLICAS", outcome.Refused);
    }

    [Fact]
    public async Task A_full_disk_refuses_writes_and_loses_none()
    {
        var (outcome, starts) = await Drills.FillDiskAsync(Set, new LimitedFiles());

        Told(outcome);
        Assert.True(starts);
        Assert.Equal(0, outcome.Lost);
        Assert.Contains("MISCONF", outcome.Refused);
    }

    [Fact]
    public async Task A_certificate_that_has_ended_is_replaced_without_starting_a_server_anew()
    {
        var lives = await LivesAsync();

        var outcome = Told(await Drills.ExpireAsync(Set));

        Assert.Equal(0, outcome.Lost);
        Assert.Equal(lives, await LivesAsync());
    }

    private Task<string[]> LivesAsync() =>
        Task.WhenAll(
            Set.Servers.Select(async server =>
                (await Set.AskAsync(server.Port, "operator", "INFO", "server")).First(line =>
                    line.StartsWith("run_id:", StringComparison.Ordinal)
                )
            )
        );

    private DrillOutcome Told(DrillOutcome outcome)
    {
        output.WriteLine($"{outcome}");
        return outcome;
    }
}
