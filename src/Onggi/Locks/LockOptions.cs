using Microsoft.Extensions.Options;

namespace Onggi.Locks;

/// <summary>How locks are held and waited for. The lease itself is the family's time to live in the catalog.</summary>
public sealed class LockOptions
{
    /// <summary>How often a lease is renewed while it lasts. With 3, one renewal can fail and the next still comes in time.</summary>
    /// <value>Default 3: a lease of 30 s is renewed every 10 s.</value>
    public int RenewalsPerLease { get; set; } = 3;

    /// <summary>The part of the lease that is left, at least, when <see cref="LockLease.Lost"/> fires: the time to stop working.</summary>
    /// <value>Default 0.1: of a lease of 30 s the last 3 s.</value>
    public double LostMargin { get; set; } = 0.1;

    /// <summary>For how long a lease is renewed at most: who hangs holds up the others no longer.</summary>
    /// <value>Default <c>null</c>: as long as the process lives and does not give it back.</value>
    public TimeSpan? MaxHold { get; set; }

    /// <summary>How often who waits asks where it cannot be woken, because Redis refuses the channel.</summary>
    /// <value>Default 250 ms.</value>
    public TimeSpan PollEvery { get; set; } = TimeSpan.FromMilliseconds(250);
}

/// <summary>Finds the mistakes in <see cref="LockOptions"/>.</summary>
internal static class LockOptionsValidator
{
    private const int MostRenewals = 20;
    private const double LeastMargin = 0.02;
    private const double MostMargin = 0.4;
    private static readonly TimeSpan ShortestPoll = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan LongestPoll = TimeSpan.FromMinutes(1);

    public static void Validate(LockOptions options, string path, ValidateOptionsResultBuilder result)
    {
        if (options.RenewalsPerLease is < 2 or > MostRenewals)
            result.AddError(
                $"is {options.RenewalsPerLease}, but with less than 2 one lost renewal loses the lease, and more than {MostRenewals} only cost. Write a number from 2 to {MostRenewals}, for example 3.",
                $"{path}:{nameof(LockOptions.RenewalsPerLease)}"
            );
        if (options.LostMargin is not (>= LeastMargin and <= MostMargin))
            result.AddError(
                $"is {options.LostMargin}, but it is the part of the lease in which a holder stops working, after the renewals had their chance. Write a number from {LeastMargin} to {MostMargin}, for example 0.1.",
                $"{path}:{nameof(LockOptions.LostMargin)}"
            );
        if (options.MaxHold is { } most && most <= TimeSpan.Zero)
            result.AddError(
                $"is {most}, so no lease would be renewed. Write a time above 00:00:00, or leave it out to renew while the work goes on.",
                $"{path}:{nameof(LockOptions.MaxHold)}"
            );
        if (options.PollEvery < ShortestPoll || options.PollEvery > LongestPoll)
            result.AddError(
                $"is {options.PollEvery}, but every process that waits asks so often where it cannot be woken. Write a time from {ShortestPoll} to {LongestPoll}, for example 00:00:00.250.",
                $"{path}:{nameof(LockOptions.PollEvery)}"
            );
    }
}
