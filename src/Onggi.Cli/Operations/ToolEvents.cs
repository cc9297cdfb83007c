using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging.Abstractions;
using Onggi.Client;
using Onggi.Events;
using Onggi.Keys;

namespace Onggi.Cli.Operations;

/// <summary>The event bus, as the tool uses it.</summary>
internal static class ToolEvents
{
    private const string Source = "onggi-cli";

    public static OnggiEvents Create(RedisClient client, Keyspace keyspace, IMeterFactory meters, TimeProvider time) =>
        new(client, keyspace, new EventOptions { Source = Source }, json: null, meters, NullLogger<OnggiEvents>.Instance, time);
}
