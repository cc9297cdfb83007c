using System.Reflection;
using Microsoft.Extensions.Logging;
using Onggi.AspNetCore;
using Onggi.Client;
using Onggi.Keys;

namespace Onggi.Tests.Rules;

/// <summary>Whoever searches a log for an event id finds one place in the code, and from the id alone knows the part it belongs to.</summary>
public class LogRules
{
    private static readonly (string Namespace, int First, int Last)[] Ranges =
    [
        ("Onggi.Client", 1_000, 1_099),
        ("Onggi.Keys", 1_100, 1_199),
        ("Onggi.Scripts", 1_200, 1_299),
        ("Onggi.Caching", 2_000, 2_999),
        ("Onggi.Locks", 3_000, 3_999),
        ("Onggi.Limits", 4_000, 4_999),
        ("Onggi.Tokens", 5_000, 5_999),
        ("Onggi.Sessions", 6_000, 6_999),
        ("Onggi.Events", 7_000, 7_099),
        ("Onggi.AspNetCore", 8_000, 8_999),
        ("Onggi.Migration", 9_000, 9_099),
        ("Onggi", 7_100, 7_199),
    ];

    private static readonly (MethodInfo Method, int Id)[] Messages =
    [
        .. from assembly in (Assembly[])[typeof(RedisClient).Assembly, typeof(KeyFamily).Assembly, typeof(OnggiMetricsOptions).Assembly]
        from type in assembly.GetTypes()
        from method in type.GetMethods(
            BindingFlags.Static | BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly
        )
        let message = method.GetCustomAttribute<LoggerMessageAttribute>()
        where message is not null
        select (method, message.EventId),
    ];

    [Fact]
    public void Event_ids_are_unique()
    {
        Assert.NotEmpty(Messages);
        Repository.AssertNone(
            from message in Messages
            group Name(message.Method) by message.Id into same
            where same.Count() > 1
            select $"{same.Key}: {string.Join(", ", same)}"
        );
    }

    [Fact]
    public void Event_ids_lie_in_the_range_of_their_part()
    {
        Repository.AssertNone(
            from message in Messages
            let range = Ranges.First(range =>
                $"{message.Method.DeclaringType!.Namespace}.".StartsWith($"{range.Namespace}.", StringComparison.Ordinal)
            )
            where message.Id < range.First || message.Id > range.Last
            select $"{Name(message.Method)} has {message.Id}, outside {range.First}–{range.Last}"
        );
    }

    private static string Name(MethodInfo method) => $"{method.DeclaringType!.FullName}.{method.Name}";
}
