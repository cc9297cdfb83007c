using System.CommandLine;
using System.Diagnostics;
using Onggi.Cli.Output;
using Onggi.Client;

namespace Onggi.Cli.Commands;

/// <summary><c>onggi ping</c>: whether Redis is there, and how far away.</summary>
internal static class PingCommand
{
    private const int DefaultCount = 1000;

    public static Command Create(ToolOutput output)
    {
        var redis = Inputs.Redis();
        var count = new Option<int>("--count", "-n")
        {
            Description = "How many round trips, one after another.",
            DefaultValueFactory = _ => DefaultCount,
            HelpName = "COUNT",
        };
        Inputs.Bound(count, 1, 10_000_000);
        var json = Inputs.Json();
        var command = new Command("ping", "Measures round trips to Redis. Exit code 2 when it cannot be reached.") { redis, count, json };
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var client = await Inputs.ConnectAsync(parsed.GetValue(redis), cancellationToken).ConfigureAwait(false);
                await using (client.ConfigureAwait(false))
                {
                    var trips = await MeasureAsync(client, parsed.GetValue(count), cancellationToken).ConfigureAwait(false);
                    Write(client, trips, parsed.GetValue(json), output);
                    return OnggiTool.Ok;
                }
            }
        );
        return command;
    }

    /// <summary>The times of the round trips in microseconds, shortest first. A first one, which warms everything up, is not counted.</summary>
    private static async Task<double[]> MeasureAsync(RedisClient client, int count, CancellationToken cancellationToken)
    {
        await client.PingAsync(cancellationToken).ConfigureAwait(false);
        var trips = new double[count];
        for (var i = 0; i < count; i++)
        {
            var asked = Stopwatch.GetTimestamp();
            await client.PingAsync(cancellationToken).ConfigureAwait(false);
            trips[i] = Stopwatch.GetElapsedTime(asked).TotalMicroseconds;
        }

        Array.Sort(trips);
        return trips;
    }

    private static void Write(RedisClient client, double[] trips, bool asJson, ToolOutput output)
    {
        var server = client.Server;
        var median = Percentile(trips, 0.5);
        var p99 = Percentile(trips, 0.99);
        if (asJson)
        {
            output.Json(json =>
            {
                json.WriteStartObject();
                json.WriteString("redis", client.Options.ToString());
                json.WriteString("product", server?.Product);
                json.WriteString("version", server?.Version.ToString());
                json.WriteString("role", server?.Role);
                json.WriteNumber("count", trips.Length);
                json.WriteNumber("minMicroseconds", Math.Round(trips[0], 1));
                json.WriteNumber("medianMicroseconds", Math.Round(median, 1));
                json.WriteNumber("p99Microseconds", Math.Round(p99, 1));
                json.WriteNumber("maxMicroseconds", Math.Round(trips[^1], 1));
                json.WriteEndObject();
            });
            return;
        }

        var what = server is null ? "Redis" : $"{server.Product} {server.Version} ({server.Mode}, {server.Role})";
        output.Text.WriteLine($"{what} at {client.Options}");
        output.Text.WriteLine(
            $"{Words.Count(trips.Length, "round trip", "round trips")}: min {Spell(trips[0])}, median {Spell(median)}, p99 {Spell(p99)}, max {Spell(trips[^1])}"
        );
    }

    /// <summary>The smallest time that at least this share of the trips did not exceed.</summary>
    private static double Percentile(double[] sorted, double share) => sorted[Math.Max(0, (int)Math.Ceiling(sorted.Length * share) - 1)];

    private static string Spell(double microseconds) => microseconds < 1000 ? $"{microseconds:0} µs" : $"{microseconds / 1000:0.00} ms";
}
