using System.Diagnostics;
using Onggi.ServerTests.Client;
using Onggi.Sessions;
using Onggi.Testing;
using Xunit.Sdk;

namespace Onggi.ServerTests.Sessions;

/// <summary>Each known mistake is found by the check that is there for it: a check that could not fail would prove nothing.</summary>
[Collection(MeasuredAlone.Name)]
public sealed class SessionMutantTests : IAsyncLifetime
{
    /// <summary>Longer than the right way takes: what comes later counts as never.</summary>
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(4);

    private RedisServerProcess? _server;

    private string Address => _server!.ConnectionString;

    public async Task InitializeAsync() => _server = await RedisServerProcess.StartAsync();

    public async Task DisposeAsync() => await _server!.DisposeAsync();

    [Fact]
    public Task A_limit_that_is_not_looked_at() =>
        FoundAsync(
            SessionMutantSwitch.Script(SessionMutants.NoLimit),
            () => SessionPromises.LimitHoldsAsync(Address, SessionLimitPolicy.Oldest)
        );

    [Fact]
    public Task A_save_that_does_not_ask_whether_the_session_lives() =>
        FoundAsync(SessionMutantSwitch.Script(SessionMutants.SaveRevives), () => SessionPromises.LateSavesDoNotReviveAsync(Address));

    [Fact]
    public Task A_touch_that_believes_the_sessions_key() =>
        FoundAsync(
            SessionMutantSwitch.Script(SessionMutants.TouchRevives),
            () => SessionPromises.WhatTheIndexDoesNotKnowIsDeadAsync(Address)
        );

    [Fact]
    public Task An_old_id_that_opens_for_ever() =>
        FoundAsync(SessionMutantSwitch.Script(SessionMutants.NoOverlapEnd), () => SessionPromises.OldIdsEndAsync(Address, Bound));

    [Fact]
    public Task A_session_without_an_end() =>
        FoundAsync(SessionMutantSwitch.Script(SessionMutants.NoTtl), () => SessionPromises.KeysAreTidyAsync(Address));

    [Fact]
    public Task Ids_that_stand_in_Redis() =>
        FoundAsync(
            SessionMutantSwitch.On(() => SessionMutants.PlainIds = true, () => SessionMutants.PlainIds = false),
            () => SessionPromises.KeysAreTidyAsync(Address)
        );

    [Fact]
    public Task An_end_that_nobody_writes_down() =>
        FoundAsync(SessionMutantSwitch.Script(SessionMutants.NoOutbox), () => SessionExpiryTests.EndsAreToldAsync(Address, Bound));

    [Fact]
    public Task An_event_that_is_confirmed_before_it_is_published() =>
        FoundAsync(
            SessionMutantSwitch.On(() => SessionMutants.ConfirmFirst = true, () => SessionMutants.ConfirmFirst = false),
            () => SessionExpiryTests.ToldAsync(Address, Bound)
        );

    [Fact]
    public Task Revocations_that_are_not_said_again() =>
        FoundAsync(
            SessionMutantSwitch.On(() => SessionMutants.ForgetRevocations = true, () => SessionMutants.ForgetRevocations = false),
            () => SessionFailoverTests.RevocationsHoldAsync(Bound)
        );

    [Fact]
    public Task Revocations_that_are_said_again_by_nobody_though_they_were_lost() =>
        FoundAsync(
            SessionMutantSwitch.On(() => SessionMutants.ForgetRevocations = true, () => SessionMutants.ForgetRevocations = false),
            () => SessionFailoverTests.LossesAreMadeUpForAsync(Bound)
        );

    [Fact]
    public Task Revocations_that_failed_and_are_not_tried_on() =>
        FoundAsync(
            SessionMutantSwitch.On(() => SessionMutants.ForgetRevocations = true, () => SessionMutants.ForgetRevocations = false),
            () => SessionFailureTests.FailedOnesAreMadeAsync(Bound)
        );

    [Fact]
    public Task Replicas_that_are_not_waited_for() =>
        FoundAsync(
            SessionMutantSwitch.On(() => SessionMutants.NoWait = true, () => SessionMutants.NoWait = false),
            SessionFailoverTests.ConfirmationsAreTrueAsync
        );

    private static async Task FoundAsync(SessionMutantSwitch mutant, Func<Task> check)
    {
        using (mutant)
            await Assert.ThrowsAnyAsync<XunitException>(check);
    }
}
