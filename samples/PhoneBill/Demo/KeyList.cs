using System.Globalization;
using Onggi.Client;
using Onggi.Keys;
using PhoneBill.Contracts;

namespace PhoneBill.Demo;

/// <summary>The keys of one family, as they stand in Redis.</summary>
public sealed record KeyGroup(string Family, int Count, string TimeToLive, string Example);

/// <summary>Walks through Redis with SCAN and sorts the keys by the family that the catalog gives them to.</summary>
public static class KeyList
{
    public static async Task<IReadOnlyList<KeyGroup>> ReadAsync(Stage stage, CancellationToken cancellationToken)
    {
        var keyspace = Keyspace.Load(Catalog.Json, personalSecret: stage.PersonalSecret);
        await using var redis = await RedisClient.ConnectAsync(stage.Redis.ConnectionOf(RedisServer.Operator), cancellationToken);

        var found = new List<(string Family, string Key, TimeSpan? TimeToLive)>();
        await foreach (var key in redis.ScanAsync("*", cancellationToken: cancellationToken))
        {
            var left = await redis.TimeToLiveAsync(key, cancellationToken);
            // Ended since the walk met it: a limit's key lives for seconds.
            if (left is null && !await redis.ExistsAsync(key, cancellationToken))
                continue;
            found.Add((keyspace.FamilyOf(key)?.Family.Name ?? "(nobody's)", key, left));
        }

        return
        [
            .. found
                .DistinctBy(one => one.Key)
                .GroupBy(one => one.Family)
                .OrderBy(group => group.Key)
                .Select(group => new KeyGroup(
                    group.Key,
                    group.Count(),
                    Range([.. group.Select(one => one.TimeToLive)]),
                    group.Min(one => one.Key)!
                )),
        ];
    }

    private static string Range(TimeSpan?[] times)
    {
        if (times.Contains(null))
            return "none";
        var (least, most) = (Text(times.Min()!.Value), Text(times.Max()!.Value));
        return least == most ? least : $"{least} – {most}";
    }

    private static string Text(TimeSpan time) =>
        time.TotalHours >= 1 ? $"{(int)time.TotalHours} h {time.Minutes} min"
        : time.TotalMinutes >= 1 ? $"{(int)time.TotalMinutes} min"
        : time.TotalSeconds.ToString("0 s", CultureInfo.InvariantCulture);
}
