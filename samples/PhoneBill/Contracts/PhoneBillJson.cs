using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace PhoneBill.Contracts;

/// <summary>How every type of the catalog is written as JSON: camelCase, by generated code. What lacks a field is not taken for the type.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(Customer))]
[JsonSerializable(typeof(Product))]
[JsonSerializable(typeof(Permissions))]
[JsonSerializable(typeof(AvailableProducts))]
[JsonSerializable(typeof(LineStatus))]
[JsonSerializable(typeof(KosResponse))]
[JsonSerializable(typeof(User))]
[JsonSerializable(typeof(UserList))]
[JsonSerializable(typeof(Bill))]
[JsonSerializable(typeof(CommonCodes))]
[JsonSerializable(typeof(SystemConfig))]
[JsonSerializable(typeof(UserChanged))]
[JsonSerializable(typeof(CustomerUpdated))]
[JsonSerializable(typeof(ProductChanged))]
[JsonSerializable(typeof(ProductUpdated))]
[JsonSerializable(typeof(PermissionChanged))]
[JsonSerializable(typeof(LineStatusChanged))]
[JsonSerializable(typeof(KosProductChange))]
[JsonSerializable(typeof(KosReceipt))]
public sealed partial class PhoneBillJson : JsonSerializerContext
{
    /// <summary>The same, with 한글 as it is read and not as <c>\uD55C\uAE00</c>: what stands in Redis is for people too.</summary>
    public static PhoneBillJson Readable { get; } =
        new(
            new JsonSerializerOptions(JsonSerializerDefaults.Web)
            {
                Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
                RespectNullableAnnotations = true,
                RespectRequiredConstructorParameters = true,
            }
        );
}
