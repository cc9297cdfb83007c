using System.Diagnostics.CodeAnalysis;

namespace Onggi.Client.Transport;

/// <summary>One thread of the process that looks after connections whose work does not get done: a flush that waits for a starved thread pool, callers behind one that blocks.</summary>
/// <remarks>
/// It looks every millisecond while there was work lately, every few milliseconds while replies are awaited, and sleeps otherwise. A connection that has work at two looks, and has not moved between them, is stuck.
/// Those who ask for it pay one read of a flag.
/// </remarks>
[SuppressMessage("ApiDesign", "RS0030:Do not use banned APIs", Justification = "Threads live in Transport.")]
internal static class Keeper
{
    private const int LooksBeforeSleep = 50;
    private const int FewLooks = 5;
    private static readonly TimeSpan Nap = TimeSpan.FromMilliseconds(20);
    private static readonly Lock Gate = new();
    private static readonly List<(WeakReference<ConnectionPump> Pump, int Progress)> Watched = [];
    private static readonly ManualResetEventSlim Wanted = new();
    private static bool _started;
    private static volatile bool _awake;

    /// <summary>Adds a connection; it is forgotten when it is collected, or with <see cref="Remove"/>.</summary>
    public static void Add(ConnectionPump pump)
    {
        lock (Gate)
        {
            Watched.Add((new WeakReference<ConnectionPump>(pump), 0));
            if (_started)
                return;
            _started = true;
            new Thread(Run) { IsBackground = true, Name = "Onggi keeper" }.UnsafeStart();
        }
    }

    public static void Remove(ConnectionPump pump)
    {
        lock (Gate)
            Watched.RemoveAll(watched => !watched.Pump.TryGetTarget(out var target) || target == pump);
    }

    /// <summary>There is work that somebody was asked to do.</summary>
    public static void Watch()
    {
        if (!_awake)
            Wanted.Set();
    }

    private static void Run()
    {
        var idle = 0;
        while (true)
        {
            if (idle > LooksBeforeSleep)
            {
                _awake = false;
                switch (LookAtAll())
                {
                    case Seen.Nothing:
                        Wanted.Wait();
                        break;
                    case Seen.Waiting:
                        Wanted.Wait(Nap);
                        break;
                }

                Wanted.Reset();
                _awake = true;
                idle = LooksBeforeSleep - FewLooks;
            }

            Thread.Sleep(1);
            idle = LookAtAll() == Seen.Work ? 0 : idle + 1;
        }
    }

    private static Seen LookAtAll()
    {
        var seen = Seen.Nothing;
        List<ConnectionPump>? stuck = null;
        lock (Gate)
        {
            for (var i = 0; i < Watched.Count; i++)
            {
                var (reference, before) = Watched[i];
                if (!reference.TryGetTarget(out var pump) || !pump.HasWork)
                {
                    if (pump?.IsWaiting == true && seen == Seen.Nothing)
                        seen = Seen.Waiting;
                    Watched[i] = (reference, 0);
                    continue;
                }

                seen = Seen.Work;
                var progress = pump.Progress;
                if (progress == before)
                    (stuck ??= []).Add(pump);
                Watched[i] = (reference, progress);
            }
        }

        foreach (var pump in stuck ?? [])
            pump.OnStuck();
        return seen;
    }

    private enum Seen
    {
        Nothing,

        // Replies are awaited: in a starved process nobody would wake the keeper when they come.
        Waiting,
        Work,
    }
}
