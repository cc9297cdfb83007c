using System.Diagnostics.CodeAnalysis;

namespace Onggi.Client.Transport;

/// <summary>What a reader has learned of its callers and of the time that replies take: whether callers may go on before the next wait is begun, and whether it pays to look for the next reply for a moment.</summary>
/// <remarks>Told by the reader and by whoever takes the turn from it. Plain additions: a lost one does no harm.</remarks>
internal sealed class Lingering(TimeProvider time)
{
    /// <summary>How long a reader looks for the next reply. Being told of it costs about half of that.</summary>
    public static readonly TimeSpan LongestPoll = TimeSpan.FromMicroseconds(50);

    private const int MostPolls = 256;
    private const int MostCredit = 64;
    private const int Trial = 40;
    private const int CostOfFailure = 4;
    private const int CostOfLateness = 16;

    // Who comes back so late was not waiting, it was waiting for a processor.
    private static readonly TimeSpan Late = LongestPoll * 8;
    private static readonly TimeSpan LeastPause = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan MostPause = TimeSpan.FromMilliseconds(500);

    private readonly Pause _polling = new(time);
    private readonly Pause _goingFirst = new(time);
    private int _credit = Trial;

    /// <summary>Callers have not blocked lately.</summary>
    public bool MayGoFirst => !_goingFirst.IsOn;

    /// <summary>Looking for the next reply has paid lately, or nobody has tried for a while.</summary>
    public bool MayPoll => !_polling.IsOn;

    /// <summary>Looks again and again for a moment.</summary>
    /// <returns>Whether it was found.</returns>
    [SuppressMessage("ApiDesign", "RS0030:Do not use banned APIs", Justification = "Threads live in Transport.")]
    public bool Poll(Func<bool> look, PumpCounters counters)
    {
        var began = time.GetTimestamp();
        for (var polls = 1; ; polls++)
        {
            var found = look();
            var took = time.GetElapsedTime(began);
            if (!found && polls < MostPolls && took < LongestPoll)
            {
                Thread.Yield();
                continue;
            }

            counters.Polled(polls);
            Polled(found, took);
            return found;
        }
    }

    /// <summary>A reader has looked for so long.</summary>
    public void Polled(bool found, TimeSpan took)
    {
        if (took >= Late)
            Fail(CostOfLateness);
        else if (!found || took >= LongestPoll)
            Fail(CostOfFailure);
        else if (_credit < MostCredit)
            _credit++;
        else
            _polling.Forget();
    }

    /// <summary>A caller on another thread had to begin the wait.</summary>
    public void Disturbed() => Fail(CostOfFailure);

    /// <summary>Callers' code blocked.</summary>
    public void TakenOver()
    {
        _goingFirst.Begin();
        _polling.Begin();
    }

    private void Fail(int cost)
    {
        _credit -= cost;
        if (_credit > 0)
            return;
        _credit = Trial;
        _polling.Begin();
    }

    // Twice as long each time that it comes soon after the last.
    private sealed class Pause(TimeProvider time)
    {
        private TimeSpan _length = LeastPause;
        private long _since;
        private volatile bool _on;

        public bool IsOn
        {
            get
            {
                if (_on && time.GetElapsedTime(_since) >= _length)
                    _on = false;
                return _on;
            }
        }

        public void Begin()
        {
            var calm = time.GetElapsedTime(_since) > _length * 8;
            _length = calm ? LeastPause : Min(_length * 2, MostPause);
            _since = time.GetTimestamp();
            _on = true;
        }

        public void Forget() => _length = LeastPause;

        private static TimeSpan Min(TimeSpan one, TimeSpan other) => one < other ? one : other;
    }
}
