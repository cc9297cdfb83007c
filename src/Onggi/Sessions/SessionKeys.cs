using System.Buffers;
using System.Text;
using Onggi.Client.Routing.Cluster;
using Onggi.Keys;

namespace Onggi.Sessions;

/// <summary>The names of all keys that sessions have. Those that one script uses stand in one slot, without braces in the names that people read.</summary>
/// <remarks>
/// <para>Users are dealt out to 64 shards by their partition (a hash of the user). A shard has a slot, and all of its keys are steered there by their last three characters:
/// <c>auth:session:&lt;handle&gt;</c>, <c>auth:session-user:&lt;partition&gt;</c> and <c>{…}:meta</c> beside it, <c>auth:session-due:&lt;shard&gt;</c> with the deadlines of its sessions and <c>{…}:out</c> beside it.
/// So a session, its user's index, its deadline and the event about it change in one script.</para>
/// <para>The slots of the shards are spread evenly over all slots, so that on a cluster every primary has its part.</para>
/// </remarks>
internal sealed class SessionKeys
{
    /// <summary>As many as the first character of a partition has values.</summary>
    public const int ShardCount = 64;

    /// <summary>The characters of a handle: what Redis knows a session by.</summary>
    public const int HandleLength = HashLength + SlotSteering.Length;

    private const int HashLength = 32;
    private const int PartitionNameLength = SessionId.PartitionLength + SlotSteering.Length;
    private const string Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    private static readonly SearchValues<char> Characters = SearchValues.Create(Alphabet);

    private static ReadOnlySpan<byte> MetaEnd => "}:meta"u8;

    private readonly byte[] _sessionHead;
    private readonly byte[] _indexHead;
    private readonly ushort _sessionCrc;
    private readonly ushort _indexCrc;
    private readonly Shard[] _shards;

    /// <param name="head">What all names begin with: prefix and service, <c>dev:auth:</c>.</param>
    public SessionKeys(string head)
    {
        _sessionHead = Encoding.UTF8.GetBytes($"{head}session:");
        _indexHead = Encoding.UTF8.GetBytes($"{head}session-user:");
        _sessionCrc = HashSlot.Crc16(_sessionHead);
        _indexCrc = HashSlot.Crc16(_indexHead);
        _shards = [.. Enumerable.Range(0, ShardCount).Select(number => Shard.Of(head, number))];
    }

    public IReadOnlyList<Shard> Shards => _shards;

    /// <summary>In which shard a partition is.</summary>
    public Shard ShardOf(ReadOnlySpan<char> partition) => _shards[Alphabet.IndexOf(partition[0], StringComparison.Ordinal)];

    /// <summary>The names for a session and its user. Release them when the command is written.</summary>
    public SessionNames Of(SessionId id)
    {
        var names = Of(id.Partition);
        id.WriteHash(names.Hash);
        Steer(in names);
        return names;
    }

    /// <summary>The names for a user and one of his sessions. Release them when the command is written.</summary>
    public SessionNames Of(ReadOnlySpan<char> partition, ReadOnlySpan<char> handle)
    {
        var names = Of(partition);
        Encoding.ASCII.GetBytes(handle, names.Buffer.AsSpan(_sessionHead.Length, HandleLength));
        return names;
    }

    /// <summary>Whether a text can be the handle of a session of this user: of others it would lie in another slot, or be no name of ours at all.</summary>
    public bool IsHandleOf(ReadOnlySpan<char> partition, ReadOnlySpan<char> handle)
    {
        if (handle.Length != HandleLength || handle.ContainsAnyExcept(Characters))
            return false;
        Span<byte> name = stackalloc byte[HandleLength];
        Encoding.ASCII.GetBytes(handle, name);
        Span<byte> steering = stackalloc byte[SlotSteering.Length];
        SlotSteering.Write(HashSlot.Crc16(name[..HashLength], _sessionCrc), ShardOf(partition).Slot, steering);
        return name[HashLength..].SequenceEqual(steering);
    }

    /// <summary>The names for a user, and room for a session's.</summary>
    public SessionNames Of(ReadOnlySpan<char> partition)
    {
        var names = new SessionNames(_sessionHead.Length, _indexHead.Length, ShardOf(partition));
        var buffer = names.Buffer.AsSpan();
        _sessionHead.CopyTo(buffer);
        var index = buffer[names.IndexStart..];
        buffer[names.IndexStart - 1] = (byte)'{';
        _indexHead.CopyTo(index);
        var name = index.Slice(_indexHead.Length, PartitionNameLength);
        Encoding.ASCII.GetBytes(partition, name);
        SlotSteering.Write(
            HashSlot.Crc16(name[..SessionId.PartitionLength], _indexCrc),
            names.Shard.Slot,
            name[SessionId.PartitionLength..]
        );
        MetaEnd.CopyTo(index[(_indexHead.Length + PartitionNameLength)..]);
        return names;
    }

    /// <summary>The name of a session's own key, from what Redis knows it by.</summary>
    public byte[] SessionOf(ReadOnlySpan<char> handle)
    {
        var name = new byte[_sessionHead.Length + handle.Length];
        _sessionHead.CopyTo(name, 0);
        Encoding.ASCII.GetBytes(handle, name.AsSpan(_sessionHead.Length));
        return name;
    }

    private void Steer(in SessionNames names)
    {
        var hash = names.Hash;
        SlotSteering.Write(HashSlot.Crc16(hash, _sessionCrc), names.Shard.Slot, names.Steering);
    }

    /// <summary>A part of all users: their sessions' deadlines and the events that are still to be published.</summary>
    internal sealed record Shard(int Number, int Slot, byte[] Due, byte[] Out)
    {
        public static Shard Of(string head, int number)
        {
            var slot = (number * (HashSlot.Count / ShardCount)) + (HashSlot.Count / ShardCount / 2);
            var name = Encoding.UTF8.GetBytes($"{head}session-due:{number:00}???");
            SlotSteering.Write(name.AsSpan(0, name.Length - SlotSteering.Length), slot, name.AsSpan(name.Length - SlotSteering.Length));
            return new Shard(number, slot, name, [.. "{"u8, .. name, .. "}:out"u8]);
        }
    }
}

/// <summary>Names in one rented buffer, so that asking after a session allocates none of them. They are good until they are released.</summary>
internal readonly struct SessionNames
{
    private const int HashLength = SessionKeys.HandleLength - SlotSteering.Length;
    private const int PartitionNameLength = SessionId.PartitionLength + SlotSteering.Length;

    private readonly int _sessionHead;
    private readonly int _indexHead;

    public SessionNames(int sessionHead, int indexHead, SessionKeys.Shard shard)
    {
        _sessionHead = sessionHead;
        _indexHead = indexHead;
        Shard = shard;
        Buffer = ArrayPool<byte>.Shared.Rent(sessionHead + SessionKeys.HandleLength + 1 + indexHead + PartitionNameLength + 6);
    }

    public byte[] Buffer { get; }

    public SessionKeys.Shard Shard { get; }

    /// <summary>Where the index's name begins; one brace stands before it, which belongs to that of the meta.</summary>
    public int IndexStart => _sessionHead + SessionKeys.HandleLength + 1;

    public ReadOnlyMemory<byte> Session => Buffer.AsMemory(0, _sessionHead + SessionKeys.HandleLength);

    public ReadOnlyMemory<byte> Handle => Buffer.AsMemory(_sessionHead, SessionKeys.HandleLength);

    public ReadOnlyMemory<byte> Index => Buffer.AsMemory(IndexStart, _indexHead + PartitionNameLength);

    public ReadOnlyMemory<byte> Meta => Buffer.AsMemory(IndexStart - 1, 1 + _indexHead + PartitionNameLength + 6);

    public ReadOnlyMemory<byte> Partition => Buffer.AsMemory(IndexStart + _indexHead, SessionId.PartitionLength);

    public string HandleText => Encoding.ASCII.GetString(Handle.Span);

    internal Span<byte> Hash => Buffer.AsSpan(_sessionHead, HashLength);

    internal Span<byte> Steering => Buffer.AsSpan(_sessionHead + HashLength, SlotSteering.Length);

    public void Release() => ArrayPool<byte>.Shared.Return(Buffer);
}
