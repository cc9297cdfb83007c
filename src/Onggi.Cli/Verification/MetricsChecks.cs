namespace Onggi.Cli.Verification;

/// <summary>What those who watch see: whether there are figures, and how often the caches had what was asked for.</summary>
internal static class MetricsChecks
{
    private const string CacheRequests = "onggi_cache_requests_total";
    private const long LeastReads = 1000;
    private const double GoodRate = 0.9;
    private const double BadRate = 0.8;

    public static IEnumerable<VerifyCheck> All() =>
        [
            new(
                "ONG021",
                "monitoring",
                "Metrics are collected",
                "each address of --metrics answers, and its Redis is up",
                "Alerts that have no figures are silent, and silence looks like health.",
                CheckSource.Other,
                AreCollectedAsync
            )
            {
                Item = "7 metrics",
                NeedsTraffic = true,
            },
            new(
                "ONG024",
                "performance",
                "What is asked for is there",
                $"a hit rate above {GoodRate:P0} in each family, once there were {LeastReads} reads of it",
                "Below it the sources do the work that the cache is for.",
                CheckSource.Server,
                HitsAsync
            )
            {
                Needs = "ONG001",
                Item = "9 performance",
                NeedsTraffic = true,
            },
        ];

    private static async Task<CheckOutcome> AreCollectedAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        if (target.Settings.Metrics.Count == 0)
            return CheckOutcome.Skip("only with --metrics URL, of the exporter or of a service");
        var pages = await target.MetricsAsync(cancellationToken).ConfigureAwait(false);
        return CheckOutcome.Of(
            Words.Count(pages.Count, "address asked", "addresses asked"),
            [
                .. pages
                    .Select(page => (page.Address, Wrong: WrongWith(page)))
                    .Where(page => page.Wrong is not null)
                    .Select(page => new Problem(
                        page.Wrong!,
                        "See that the exporter runs, has the password of its user, and that the Service selects its pods.",
                        Where: page.Address.ToString()
                    )),
            ]
        );
    }

    private static string? WrongWith(MetricsPage page) =>
        page.Error is not null ? page.Error
        : page.Of("redis_up").Any(up => up.Value == 0)
            ? $"{page.Address} says redis_up 0: it does not reach Redis, or its password is refused."
        : page.Of("redis_up").Any() || page.Lines.Any(line => line.StartsWith("onggi_", StringComparison.Ordinal)) ? null
        : $"{page.Address} has neither redis_up nor onggi_… among its metrics.";

    private static async Task<CheckOutcome> HitsAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        var pages = await target.MetricsAsync(cancellationToken).ConfigureAwait(false);
        var reads = pages
            .SelectMany(page => page.Of(CacheRequests))
            .Select(read =>
                (
                    Family: MetricsPage.Label(read.Labels, "onggi_family"),
                    Outcome: MetricsPage.Label(read.Labels, "onggi_outcome"),
                    read.Value
                )
            )
            .Where(read => read.Outcome is "memory" or "redis" or "miss")
            .ToLookup(read => read.Family ?? "");
        return reads.Count == 0 ? await OfServerAsync(target, cancellationToken).ConfigureAwait(false) : OfFamilies(reads);
    }

    private static CheckOutcome OfFamilies(ILookup<string, (string? Family, string? Outcome, double Value)> reads)
    {
        var families = reads
            .Select(family =>
                (
                    Name: family.Key,
                    All: family.Sum(read => read.Value),
                    Hits: family.Where(read => read.Outcome != "miss").Sum(read => read.Value)
                )
            )
            .Where(family => family.All >= LeastReads)
            .ToList();
        if (families.Count == 0)
            return CheckOutcome.Skip($"no family had {LeastReads} reads yet");
        return CheckOutcome.Of(
            $"{families.Sum(family => family.Hits) / families.Sum(family => family.All):P1} of {families.Sum(family => family.All):N0} reads, {Words.Count(families.Count, "family", "families")}",
            [
                .. families
                    .Where(family => family.Hits <= GoodRate * family.All)
                    .Select(family => new Problem(
                        $"the hit rate is {family.Hits / family.All:P1} of {family.All:N0} reads.",
                        "See its time to live, what invalidates it (onggi catalog show), and whether it was warmed.",
                        IsWarning: family.Hits >= BadRate * family.All,
                        Where: $"family {family.Name}"
                    )),
            ]
        );
    }

    // Redis counts every look at a key that is not there: of sweepers, locks and limits, too. So a bad figure of its own proves nothing.
    private static async Task<CheckOutcome> OfServerAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        var info = await target.InfoAsync(cancellationToken).ConfigureAwait(false);
        var (hits, misses) = (info.Count("keyspace_hits") ?? 0, info.Count("keyspace_misses") ?? 0);
        if (hits + misses < LeastReads)
            return CheckOutcome.Skip($"{hits + misses} reads since it started; {LeastReads} say something");
        var observed = $"{(double)hits / (hits + misses):P1} of {hits + misses:N0} reads since it started, by INFO";
        return hits > GoodRate * (hits + misses)
            ? CheckOutcome.Ok(observed)
            : CheckOutcome.Skip($"{observed}, where locks, limits and sweepers count, too; --metrics of the services tells it by family");
    }
}
