using System.Buffers;

namespace Onggi.Client.Connections;

/// <summary>The bytes that have arrived and are not yet read. It grows as bytes arrive, never by what a header announces alone.</summary>
internal sealed class ReceiveBuffer
{
    private const int Initial = 16 << 10;
    private const int Reserve = 64 << 10;
    private const int KeepAtMost = 1 << 20;
    private const int Pooled = 256 << 10;

    private byte[] _bytes = new byte[Initial];
    private int _start;
    private int _end;

    public ReadOnlySpan<byte> Unread => _bytes.AsSpan(_start, _end - _start);

    /// <summary>Room to receive into, never empty. <paramref name="needed"/> is how many unread bytes the frame under way wants to have.</summary>
    public Memory<byte> GetMemory(int needed)
    {
        var unread = _end - _start;
        if (unread == 0)
        {
            _start = _end = 0;
            if (_bytes.Length > KeepAtMost && needed <= Reserve)
                Replace(Initial);
        }

        // It grows only when it is full, to twice what has arrived (or a small reserve): a lying header costs nothing, and a long frame no quadratic copying.
        if (_bytes.Length - _start < needed && _start > 0)
            Compact();
        if (_end == _bytes.Length)
        {
            if (_start > 0)
                Compact();
            else
                Replace((int)Math.Min(Math.Max(Reserve, 2L * unread), Array.MaxLength));
        }

        return _bytes.AsMemory(_end);
    }

    public void Received(int count) => _end += count;

    public void Consume(int count) => _start += count;

    private void Compact()
    {
        Unread.CopyTo(_bytes);
        _end -= _start;
        _start = 0;
    }

    // Large ones come from the pool and go back to it: fresh memory of that size costs more than the bytes that are copied into it.
    private void Replace(int size)
    {
        var larger = size > Pooled ? ArrayPool<byte>.Shared.Rent(size) : GC.AllocateUninitializedArray<byte>(size);
        var unread = Unread;
        unread.CopyTo(larger);
        if (_bytes.Length > Pooled)
            ArrayPool<byte>.Shared.Return(_bytes);
        (_bytes, _start, _end) = (larger, 0, unread.Length);
    }
}
