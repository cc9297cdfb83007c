using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Onggi.Caching;
using Onggi.Keys;

namespace Onggi.Tests.Caching;

[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower
)]
[JsonSerializable(typeof(Customer))]
public sealed partial class SparseJson : JsonSerializerContext;

public sealed class CacheJsonTests
{
    private readonly CacheJson _json = new(CacheTestJson.Default, new CacheOptions());

    [Fact]
    public void Records_keep_their_values()
    {
        Assert.Equal(new Customer("1", "김", 30, "K"), RoundTrip(new Customer("1", "김", 30, "K")));
        Assert.Equal(new Customer("1", "Kim"), RoundTrip(new Customer("1", "Kim")));
    }

    [Fact]
    public void Derived_types_keep_what_they_are()
    {
        Assert.Equal(new Card(12.50m, "visa"), RoundTrip<Payment>(new Card(12.50m, "visa")));
        Assert.Equal(new Transfer(1, "kb"), RoundTrip<Payment>(new Transfer(1, "kb")));
    }

    [Fact]
    public void Nulls_and_large_values_keep_their_values()
    {
        Assert.Null(RoundTrip<Customer>(null));
        Assert.Null(RoundTrip<int?>(null));
        Assert.Equal(5, RoundTrip<int?>(5));
        var large = new string('가', 2_000_000);
        Assert.Equal(large, RoundTrip(large));
    }

    [Theory]
    [InlineData("")]
    [InlineData("garbage")]
    [InlineData("{\"lineNumber\":\"1\",\"name\":")]
    [InlineData("\"text\"")]
    [InlineData("[1,2]")]
    [InlineData("42")]
    [InlineData("{}")]
    [InlineData("{\"other\":true}")]
    [InlineData("{\"lineNumber\":\"1\"}")]
    [InlineData("{\"lineNumber\":{},\"name\":\"x\"}")]
    [InlineData("{\"lineNumber\":\"1\",\"name\":\"x\"} trailing")]
    public void What_is_no_JSON_or_of_another_shape_is_not_read(string text)
    {
        Assert.False(_json.Codec<Customer>().TryDecode(Encoding.UTF8.GetBytes(text), out _, out _));
    }

    [Fact]
    public void What_may_be_null_or_has_a_default_may_be_absent()
    {
        Assert.True(_json.Codec<Customer>().TryDecode("{\"lineNumber\":\"1\",\"name\":\"x\",\"more\":1}"u8.ToArray(), out var read, out _));
        Assert.Equal(new Customer("1", "x"), read);
        Assert.True(_json.Codec<Line>().TryDecode("{\"number\":\"1\"}"u8.ToArray(), out var line, out _));
        Assert.Equal(new Line("1", null), line);
        Assert.False(_json.Codec<Line>().TryDecode("{\"owner\":\"Kim\"}"u8.ToArray(), out _, out _));
    }

    [Fact]
    public void A_null_is_nothing_for_a_type_that_has_none()
    {
        Assert.False(_json.Codec<int>().TryDecode("null"u8.ToArray(), out _, out _));
        Assert.True(_json.Codec<Customer>().TryDecode(" null\n"u8.ToArray(), out var nothing, out _));
        Assert.Null(nothing);
    }

    [Fact]
    public void A_constructor_that_throws_is_a_value_that_cannot_be_read()
    {
        Assert.False(_json.Codec<Stubborn>().TryDecode("{\"number\":-1}"u8.ToArray(), out _, out var reason));
        Assert.IsType<FormatException>(reason);
    }

    [Fact]
    public void A_derived_type_that_nobody_knows_is_a_value_that_cannot_be_read()
    {
        Assert.False(_json.Codec<Payment>().TryDecode("{\"$type\":\"gold\",\"amount\":1}"u8.ToArray(), out _, out _));
        Assert.False(_json.Codec<Payment>().TryDecode("{\"amount\":1}"u8.ToArray(), out _, out _));
    }

    [Fact]
    public void A_context_that_leaves_nulls_out_reads_what_it_writes()
    {
        var codec = new CacheJson(SparseJson.Default, new CacheOptions()).Codec<Customer>();

        var json = codec.Encode(new Customer("1", "Kim"));

        Assert.Equal("""{"line_number":"1","name":"Kim","age":0}""", Encoding.UTF8.GetString(json));
        Assert.Equal(new Customer("1", "Kim"), codec.Decode(json));
    }

    [Fact]
    public void Contexts_that_were_combined_get_the_names_of_the_web()
    {
        var both = JsonTypeInfoResolver.Combine(CacheTestJson.Default, SparseJson.Default);

        var json = new CacheJson(both, new CacheOptions()).Codec<Customer>().Encode(new Customer("1", "Kim"));

        Assert.StartsWith("{\"lineNumber\":", Encoding.UTF8.GetString(json), StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_type_says_which_line_to_add()
    {
        var one = Assert.Throws<InvalidOperationException>(() => _json.Codec<List<Unregistered>>());
        var none = Assert.Throws<InvalidOperationException>(() => new CacheJson(null, new CacheOptions()).Codec<Customer>());

        Assert.Contains(
            "[JsonSerializable(typeof(System.Collections.Generic.List<Onggi.Tests.Caching.Unregistered>))]",
            one.Message,
            StringComparison.Ordinal
        );
        Assert.Contains("none is given", none.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_check_at_start_lists_the_lines_for_all_the_types_that_are_missing()
    {
        _json.VerifyTypes(Keyspace.Load(TestKeys.CatalogJson));
        var more = TestKeys.CatalogJson.Replace(
            "\"session\": {",
            """
            "unregistered": { "key": "unregistered:{id}", "kind": "cache", "value": "Onggi.Tests.Caching.Unregistered" },
            "list": { "key": "list:{id}", "kind": "cache", "value": "System.Collections.Generic.List<Onggi.Tests.Caching.Unregistered>" },
            "array": { "key": "array:{id}", "kind": "cache", "value": "Onggi.Tests.Caching.Customer[]" },
            "absent": { "key": "absent:{id}", "kind": "cache", "value": "Nowhere.To.Be.Found" },
            "bytes": { "key": "bytes:{id}", "kind": "cache", "value": "byte[]" },
            "session": {
            """,
            StringComparison.Ordinal
        );

        var mistake = Assert.Throws<InvalidOperationException>(() => _json.VerifyTypes(Keyspace.Load(more)));

        Assert.Contains("3 value type(s)", mistake.Message, StringComparison.Ordinal);
        Assert.Contains("[JsonSerializable(typeof(Onggi.Tests.Caching.Unregistered))]", mistake.Message, StringComparison.Ordinal);
        Assert.Contains(
            "[JsonSerializable(typeof(System.Collections.Generic.List<Onggi.Tests.Caching.Unregistered>))]",
            mistake.Message,
            StringComparison.Ordinal
        );
        Assert.Contains("[JsonSerializable(typeof(Onggi.Tests.Caching.Customer[]))]", mistake.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(typeof(Dictionary<string, int?>), "System.Collections.Generic.Dictionary<System.String, System.Int32?>")]
    [InlineData(
        typeof(Dictionary<string, int>.KeyCollection),
        "System.Collections.Generic.Dictionary<System.String, System.Int32>.KeyCollection"
    )]
    [InlineData(typeof(int[][]), "System.Int32[][]")]
    public void Types_are_named_as_in_source(Type type, string name) => Assert.Equal(name, CacheJson.CSharpName(type));

    [Fact]
    public void Only_what_cannot_change_is_shared()
    {
        Assert.True(_json.Codec<string>().IsImmutable);
        Assert.True(_json.Codec<int?>().IsImmutable);
        Assert.True(_json.Codec<Tariff>().IsImmutable);
        Assert.False(_json.Codec<Customer>().IsImmutable);
        Assert.False(_json.Codec<Basket>().IsImmutable);
    }

    [Fact]
    public void What_generated_code_names_is_shared()
    {
        Assert.False(new CacheJson(CacheTestJson.Default, new CacheOptions()).Codec<Stubborn>().IsImmutable);

        ImmutableValueTypes.Add<Stubborn>();

        Assert.True(new CacheJson(CacheTestJson.Default, new CacheOptions()).Codec<Stubborn>().IsImmutable);
    }

    private T? RoundTrip<T>(T? value)
    {
        var codec = _json.Codec<T>();
        return codec.Decode(codec.Encode(value));
    }
}
