using System.Diagnostics.Metrics;
using Onggi.Caching;

namespace Onggi.Batches;

/// <summary>Many entries of many families at once: each with a result of its own, all of them in one flush.</summary>
public sealed class OnggiBatches
{
    internal OnggiBatches(OnggiCache cache, BatchOptions options, IMeterFactory meters, TimeProvider time) =>
        (Commands, Options, Metrics, Time) = (cache.Commands, options, new BatchMetrics(meters), time);

    internal EntryCommands Commands { get; }

    internal BatchOptions Options { get; }

    internal BatchMetrics Metrics { get; }

    internal TimeProvider Time { get; }

    /// <summary>Begins a batch whose entries stand each for itself: any families, any slots. For one caller, sent once. No round trip until it is sent.</summary>
    public OnggiBatch Create() => new(this, isAtomic: false);

    /// <summary>Begins a batch that is executed in one step, or not at all: nobody sees a part of it. All its keys must be in one slot of Redis Cluster, also where there is no cluster.</summary>
    public OnggiBatch CreateAtomic() => new(this, isAtomic: true);
}
