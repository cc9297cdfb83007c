using System.Runtime.Intrinsics;
using Onggi.Keys;

namespace Onggi.Caching;

/// <summary>What a hit reads of an entry, in 64 bytes beside those of other entries: a copy, written anew whenever the entry changes.</summary>
/// <remarks>
/// The writer holds the gate of <see cref="ProvenMemory"/>; readers take no lock. The stamp tells them that what they read is of one moment: the writer changes
/// it before and after it writes, and the reader looks at it before and after it reads: a sequence lock, with the fences of Boehm, "Can Seqlocks Get Along With
/// Programming Language Memory Models?", MSPC'12. Its lowest byte tells what is here, and the others count the changes, so it never comes again.
/// </remarks>
internal struct HitSlot
{
    /// <summary>What <see cref="Form"/> is when the identifier cannot be packed.</summary>
    public const byte Unpacked = byte.MaxValue;

    /// <summary>What <see cref="Form"/> is when there are several identifiers.</summary>
    public const byte Several = Unpacked - 1;

    private object? _kind;
    private object? _value;

    // Where the form is Unpacked the identifier, where it is Several the entry. While it is being written it may be the other, so it is always asked.
    private object? _key;
    private long _stamp;
    private long _lastQuiet;
    private long _generation;
    private Vector128<byte> _packed;

    /// <summary>How a key is looked for: if its only identifier can be packed, the length of that, which is never 0.</summary>
    public static byte Form(in EntryKey key, out Vector128<byte> packed)
    {
        if (key.Second is null)
            return PackedText.TryPack(key.First, out packed) ? (byte)key.First.Length : Unpacked;
        packed = default;
        return Several;
    }

    /// <summary>Whether the entry of this key is here, and if so, what a hit needs of it. Without a lock. Of a single identifier the family is not compared: its kind tells.</summary>
    /// <param name="key">The key.</param>
    /// <param name="form">Its form.</param>
    /// <param name="packed">Its identifier, where it is packed.</param>
    /// <param name="seen">What is here; without a kind when that was just being changed.</param>
    public readonly bool TryRead(in EntryKey key, byte form, Vector128<byte> packed, out HitView seen)
    {
        var stamp = Volatile.Read(in _stamp);
        if ((byte)stamp != form || !(form < Several ? _packed == packed : IsFor(key)))
        {
            seen = default;
            return false;
        }

        seen = new HitView(_kind, _value, _lastQuiet, _generation);
        if (Interleave.IsOn)
            Interleave.Point("memory.slot");
        Volatile.ReadBarrier();
        // mutant: TornSlot. Only where a test holds readers up: a hit has no time to ask.
        if (Volatile.Read(in _stamp) != stamp && !(Interleave.IsOn && CoherenceMutants.TornSlot))
            seen = default;
        return true;
    }

    /// <summary>Shows an entry; one without an object that is shared is hidden.</summary>
    public void Show(ProvenEntry entry)
    {
        Hide();
        if (entry.Kind is not { } kind)
            return;
        var key = entry.Key;
        var form = Form(key, out _packed);
        _key = form switch
        {
            Unpacked => key.First,
            Several => entry,
            _ => null,
        };
        (_kind, _value) = (kind, entry.Value);
        if (Interleave.IsOn)
            Interleave.Point("memory.show");
        (_lastQuiet, _generation) = (entry.LastQuiet, entry.Generation);
        Volatile.Write(ref _stamp, _stamp | form);
    }

    /// <summary>Readers who begin now find nothing here.</summary>
    public void Hide()
    {
        _stamp = (_stamp | byte.MaxValue) + 1;
        Volatile.WriteBarrier();
        (_kind, _value, _key) = (null, null, null);
    }

    private readonly bool IsFor(in EntryKey key) => _key is string text ? text == key.First : _key is ProvenEntry entry && entry.IsFor(key);
}

/// <summary>What a hit has seen of an entry, all of it at one moment.</summary>
internal readonly struct HitView(object? kind, object? value, long lastQuiet, long generation)
{
    /// <summary>The <see cref="EntryKind{T}"/>.</summary>
    public readonly object? Kind = kind;

    public readonly object? Value = value;

    /// <summary>As <see cref="ProvenEntry.LastQuiet"/>.</summary>
    public readonly long LastQuiet = lastQuiet;

    /// <summary>As <see cref="ProvenEntry.Generation"/>.</summary>
    public readonly long Generation = generation;
}

/// <summary>What entries of a family whose objects are of one type have in common.</summary>
/// <param name="family">Its rules and counts.</param>
/// <param name="keyFamily">The family as callers name it.</param>
/// <typeparam name="T">The type of the shared objects; one of them may be <c>null</c>.</typeparam>
internal sealed class EntryKind<T>(CacheFamily family, KeyFamily keyFamily)
{
    public readonly CacheFamily Family = family;
    public readonly KeyFamily KeyFamily = keyFamily;
}
