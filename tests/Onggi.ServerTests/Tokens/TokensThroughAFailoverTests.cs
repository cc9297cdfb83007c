using System.Collections.Concurrent;
using Onggi.Client;
using Onggi.ServerTests.Client;
using Onggi.ServerTests.Client.Sentinel;
using Onggi.Testing;
using Onggi.Tokens;

namespace Onggi.ServerTests.Tokens;

/// <summary>The contract behind Sentinels: some of it before a failover, the rest after it. All the while somebody issues tokens and revokes them.</summary>
[Collection(TokenTests.Name)]
[TestCaseOrderer("Onggi.ServerTests.Client.Sentinel.LastOneLast", "Onggi.ServerTests")]
public sealed class TokensThroughAFailoverTests(TokenRun run) : TokenContract, IClassFixture<TokenRun>
{
    protected override string ConnectionString => run.Servers.ConnectionString;

    protected override Task BeginAsync() => run.Servers.NextTestAsync();

    [Fact]
    public async Task In_the_end_nothing_that_was_revoked_is_good_what_was_not_still_is_and_no_confirmed_sign_in_is_lost()
    {
        await run.Servers.FailOverAsync();
        await run.WorkOnAsync();

        var (revoked, kept, confirmed) = await run.EndAsync();

        foreach (var tokens in revoked)
        {
            await Until.TrueAsync(
                async () => await Other.RefusalAsync(tokens.AccessToken) is TokenRefusal.Revoked or TokenRefusal.SignedOut,
                "what was revoked is refused"
            );
            Assert.Null((await Other.Tokens.RefreshAsync(tokens.RefreshToken).Within()).Tokens);
        }

        foreach (var tokens in kept)
            Assert.Equal(TokenRefusal.None, await Other.RefusalAsync(tokens.AccessToken));
        // Nobody asks for these between their issue and now, so each is the first of its family.
        Assert.NotEmpty(confirmed);
        foreach (var tokens in confirmed)
            Assert.Equal(RefreshOutcome.Rotated, (await Other.Tokens.RefreshAsync(tokens.RefreshToken).Within()).Outcome);
    }
}

/// <summary>Sentinels and their servers, and a process that issues tokens and revokes them for as long as the tests run.</summary>
public sealed class TokenRun : IAsyncLifetime
{
    private readonly ConcurrentQueue<IssuedTokens> _revoked = new();
    private readonly ConcurrentQueue<IssuedTokens> _kept = new();
    private readonly ConcurrentQueue<IssuedTokens> _confirmed = new();
    private volatile bool _isOver;
    private SentinelRun? _servers;
    private TokenNode? _node;
    private Task _work = Task.CompletedTask;

    internal SentinelRun Servers => _servers!;

    public async Task InitializeAsync()
    {
        _servers = await SentinelRun.StartAsync(middle: 12);
        _node = await TokenNode.StartAsync(_servers.ConnectionString);
        _work = WorkAsync(_node);
        await WorkOnAsync();
    }

    /// <summary>Until some more tokens were revoked.</summary>
    public Task WorkOnAsync()
    {
        var revoked = _revoked.Count + 12;
        return Until.TrueAsync(() => _work.IsFaulted || _revoked.Count >= revoked, "tokens are revoked");
    }

    /// <summary>What was revoked, what was not, and what of that all replicas had confirmed.</summary>
    public async Task<(
        IReadOnlyList<IssuedTokens> Revoked,
        IReadOnlyList<IssuedTokens> Kept,
        IReadOnlyList<IssuedTokens> Confirmed
    )> EndAsync()
    {
        _isOver = true;
        await _work.Within();
        return ([.. _revoked], [.. _kept], [.. _confirmed]);
    }

    public async Task DisposeAsync()
    {
        await EndAsync();
        await _node!.DisposeAsync();
        await Servers.DisposeAsync();
    }

    private async Task WorkAsync(TokenNode node)
    {
        for (var i = 0; !_isOver; i++)
        {
            IssuedTokens? tokens = null;
            // The switch is the process's: what is revoked while a test has it on is revoked in the wrong way.
            var isSwitched = TokenMutants.FamilyNotDenied;
            try
            {
                var wait = TimeSpan.FromMilliseconds(250);
                (tokens, var replicas) = await node
                    .Tokens.IssueAsync(new TokenRequest { Subject = $"writer-{i}" }, i % 4 == 3 ? 2 : 0, wait, default)
                    .Within();
                // Without it a failover can lose the last of them, until they are asserted again.
                var options = new RevocationOptions { Replicas = i % 2, ReplicaTimeout = wait };
                switch (i % 4)
                {
                    case 0:
                        await node.Tokens.SignOutEverywhereAsync(tokens.Subject, options).Within();
                        break;
                    case 1:
                    case 2:
                        await node.Tokens.RevokeRefreshTokenAsync(tokens.RefreshToken, options).Within();
                        break;
                    default:
                        _kept.Enqueue(tokens);
                        if (replicas >= 2)
                            _confirmed.Enqueue(tokens);
                        continue;
                }
            }
            catch (RedisException)
            {
                // Told; and a revocation is tried on.
            }

            if (tokens is not null && !isSwitched && !TokenMutants.FamilyNotDenied)
                _revoked.Enqueue(tokens);
            // Beside the tests, not in their place.
            await Task.Delay(20, CancellationToken.None);
        }
    }
}
