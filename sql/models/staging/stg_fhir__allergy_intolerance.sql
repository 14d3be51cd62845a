with source as (
    select * from fhir.allergy_intolerance
),

final as (
    select
        resource_key,
        id as resource_id,
        patient_id,
        encounter_id,
        clinical_status,
        verification_status,
        type as allergy_type,
        category_code,
        criticality,
        code,
        code_system,
        coalesce(code_display, code_text) as code_name,
        onset_datetime,
        recorded_datetime,
        version_id,
        source_id,
        pipeline_run_id
    from source
)

select * from final
