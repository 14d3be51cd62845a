with source as (
    select * from fhir.medication_request
),

final as (
    select
        resource_key,
        id as resource_id,
        patient_id,
        encounter_id,
        status,
        intent,
        code,
        code_system,
        coalesce(code_display, code_text) as code_name,
        authored_datetime,
        as_needed,
        dispense_quantity,
        dispense_refills,
        version_id,
        source_id,
        pipeline_run_id
    from source
)

select * from final
