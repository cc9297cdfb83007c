using System.Text;
using Onggi.Client.Routing.Cluster;
using Onggi.Keys;
using Onggi.Sessions;
using Onggi.Testing;

namespace Onggi.Tests.Sessions;

/// <summary>The names of sessions' keys and the slots in which they stand.</summary>
public class SessionKeysTests
{
    [Fact]
    public void Any_name_can_be_steered_into_any_slot()
    {
        var random = Seed.For(nameof(Any_name_can_be_steered_into_any_slot));
        for (var slot = 0; slot < HashSlot.Count; slot++)
        {
            var name = Encoding.ASCII.GetBytes($"p{random.Next()}:auth:session:{random.NextInt64()}???");
            SlotSteering.Write(name.AsSpan(0, name.Length - 3), slot, name.AsSpan(name.Length - 3));
            Assert.True(HashSlot.Of(name) == slot, $"{Encoding.ASCII.GetString(name)} is not in {slot}. {Seed.Line}");
            Assert.DoesNotContain((byte)'?', name);
        }
    }

    [Fact]
    public void All_names_of_a_script_are_in_one_slot_and_shards_are_spread_evenly()
    {
        var keys = new SessionKeys("production:auth:");
        var keyspace = Keyspace.Load(
            """{ "system": "s", "families": { "session": { "key": "auth:session:{id}", "kind": "session", "owner": "auth", "idle": "30m", "absolute": "24h" } }, "services": { "auth": {} }, "environments": { "production": {} } }""",
            "production"
        );
        var seen = new HashSet<int>();
        for (var i = 0; i < 2000; i++)
        {
            var names = keys.Of(SessionId.New(keyspace.PseudonymOf($"user {i}")));
            ReadOnlyMemory<byte>[] all = [names.Session, names.Index, names.Meta, names.Shard.Due, names.Shard.Out];
            Assert.All(all, name => Assert.Equal(names.Shard.Slot, HashSlot.Of(name.Span)));
            Assert.All(all, name => Assert.Equal("session", keyspace.FamilyOf(Encoding.ASCII.GetString(name.Span))?.Family.Name));
            var index = Encoding.ASCII.GetString(names.Index.Span);
            Assert.StartsWith("production:auth:session-user:", index, StringComparison.Ordinal);
            Assert.Equal($"{{{index}}}:meta", Encoding.ASCII.GetString(names.Meta.Span));
            Assert.Equal(keys.SessionOf(names.HandleText), names.Session.ToArray());
            seen.Add(names.Shard.Number);
            names.Release();
        }

        Assert.Equal(SessionKeys.ShardCount, seen.Count);
        Assert.Equal(SessionKeys.ShardCount, keys.Shards.Select(shard => shard.Slot).Distinct().Count());
        // Three primaries have a third of the slots each.
        Assert.All(keys.Shards.GroupBy(shard => shard.Slot * 3 / HashSlot.Count), group => Assert.InRange(group.Count(), 21, 22));
    }
}
