using System.Runtime.CompilerServices;
using FsCheck;
using FsCheck.Fluent;
using Onggi.Testing;

namespace Onggi.Tests.Client;

/// <summary>What holds for all values: drawn from the run's seed, so that <c>ONGGI_SEED</c> repeats it, and made small when it does not hold.</summary>
internal static class Property
{
    // Far longer than any of them takes: a value that makes the code loop is named, instead of hanging the run.
    private static readonly TimeSpan Bound = TimeSpan.FromMinutes(2);

    /// <exception cref="InvalidOperationException">It does not hold; the message has the seed, the value as drawn and the smallest value found.</exception>
    public static async Task HoldsAsync<T>(
        Gen<T> values,
        Func<T, IEnumerable<T>> smaller,
        Action<T> holds,
        int tests,
        [CallerMemberName] string name = ""
    )
    {
        var random = Seed.For(name);
        var config = Config.QuickThrowOnFailure.WithMaxTest(tests).WithReplay((ulong)random.NextInt64(), (ulong)random.NextInt64() | 1);
        object? underWay = null;
        var running = Task.Run(() =>
            Prop.ForAll(
                    Arb.From(values, smaller),
                    value =>
                    {
                        Volatile.Write(ref underWay, value);
                        holds(value);
                    }
                )
                .Check(config)
        );
        try
        {
            await running.WaitAsync(Bound);
        }
        catch (TimeoutException hang)
        {
            throw new InvalidOperationException($"No end after {Bound.TotalSeconds} s ({Seed.Line}): {Volatile.Read(ref underWay)}", hang);
        }
        catch (Exception failure)
        {
            throw new InvalidOperationException($"{name} does not hold ({Seed.Line}): {failure.Message}", failure);
        }
    }

    /// <summary>Smaller lists: without each of its parts, from large parts to single elements; then with one element made smaller.</summary>
    public static IEnumerable<T[]> Smaller<T>(IReadOnlyList<T> list, Func<T, IEnumerable<T>> smaller)
    {
        for (var part = list.Count; part > 0; part /= 2)
        for (var start = 0; start + part <= list.Count; start += part)
            yield return [.. list.Take(start), .. list.Skip(start + part)];
        for (var i = 0; i < list.Count; i++)
            foreach (var item in smaller(list[i]))
                yield return [.. list.Take(i), item, .. list.Skip(i + 1)];
    }

    /// <summary>Nothing is smaller.</summary>
    public static IEnumerable<T> Smallest<T>(T value)
    {
        _ = value;
        return [];
    }

    /// <summary>Values grown by plain code from a source of randomness and FsCheck's size.</summary>
    public static Gen<T> Grown<T>(Func<Random, int, T> grow) =>
        Gen.Sized(size => Gen.Choose(0, int.MaxValue).Select(seed => grow(new Random(seed), size)));
}
